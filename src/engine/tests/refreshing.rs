//! Learning the topology: how often is asked, who is asked, whom a view may name, and which connections that costs.

use super::*;

#[test]
fn a_slot_without_owner_is_asked_about_until_it_has_one() {
    let holes = [(0, 5460, A)];
    let mut s = Script::start_with_view(config(), &holes);
    let key = key_of(B, 1);
    s.stream(&set(&key, "1"), 1, 60_000);
    s.engine.flush();
    let asked = s.idle(15_000, &holes).asked.len();
    assert!((10..40).contains(&asked), "{asked} questions in fifteen seconds");
    let covered = s.idle(2_000, &[(0, 16383, A)]);
    assert_eq!(covered.written, [(A, wire(&["SET", &key, "1"]))]);
}

#[test]
fn while_commands_wait_for_a_node_that_is_down_a_view_is_asked_for_every_second() {
    let mut config = config();
    // No failed attempt asks for it.
    config.reconnect_min_ms = 600_000;
    config.reconnect_max_ms = 600_000;
    let mut s = Script::start_with(config);
    let token = s.stream(&set(&key_of(B, 1), "v"), 1, 60_000);
    s.engine.flush();
    s.act();
    s.refuse(B);
    let asked = s.idle(10_000, &THIRDS).asked.len();
    assert!((9..=14).contains(&asked), "{asked} questions in ten seconds");
    assert!(s.engine.cancel(token));
    assert!(s.idle(2_000, &THIRDS).asked.len() <= 1);
    assert_eq!(s.idle(20_000, &THIRDS).asked, [], "nobody waits");
    let token = s.stream(&set(&key_of(B, 1), "v"), 1, 60_000);
    assert!(!s.idle(200, &THIRDS).asked.is_empty(), "somebody waits again");
    let owner = [(0, 10922, A), (10923, 16383, C)];
    s.engine.flush();
    let found = s.idle(1_100, &owner);
    assert_eq!(found.written, [(A, wire(&["SET", &key_of(B, 1), "v"]))]);
    assert!(s.engine.cancel(token));
}

#[test]
fn the_connection_to_a_seed_that_no_view_names_is_closed_although_nothing_happens() {
    let mut s = Script::start_with_view(config(), &[(0, 16383, B)]);
    let silent_ms = s.engine.config.node_silent_ms;
    s.tick(1_000);
    assert!(s.is_open(A), "it may be about to be in one");
    let mut waited_ms = 1_000;
    while let Some(due) = s.engine.poll_timeout().filter(|_| s.is_open(A)) {
        assert!(due > s.now, "called again and again");
        let ms = (due.since(s.now).as_micros() as u64).div_ceil(1_000);
        waited_ms += ms;
        s.tick(ms);
    }
    assert!(!s.is_open(A));
    assert!((silent_ms..=silent_ms + 1_000).contains(&waited_ms), "{waited_ms}");
}

#[test]
fn a_connection_that_is_kept_past_its_time_while_others_are_sought_is_not_looked_at_without_a_pause() {
    let mut config = config();
    config.node_silent_ms = 300;
    let mut s = Script::start_with_view(config, &[(0, 16383, B)]);
    // The sweep in between finds nobody busy, and sets its next time by this connection.
    s.tick(280);
    s.engine.refresh_topology(s.now);
    while s.written(A).is_empty() {
        s.tick(1);
    }
    s.reply(A, "-LOADING\r\n");
    let until = s.now.after_ms(320);
    while let Some(due) = s.engine.poll_timeout().filter(|due| *due <= until) {
        assert!(due > s.now, "called again and again");
        s.tick((due.since(s.now).as_micros() as u64).div_ceil(1_000));
    }
    assert_eq!((s.dials.as_slice(), s.is_open(A)), ([B].as_slice(), true));
}

#[test]
fn a_node_is_dialled_for_a_command_although_an_earlier_one_was_never_flushed() {
    let mut s = Script::start();
    let key = key_of(B, 1);
    let token = s.stream(&get(&key), 1, 5_000);
    assert!(s.engine.cancel(token));
    assert!(!s.idle(3_000, &THIRDS).dialled.is_empty());
    assert_eq!(s.dials, []);
    s.stream(&get(&key), 2, 5_000);
    s.engine.flush();
    s.act();
    assert_eq!(s.dials, [B]);
}

#[test]
fn the_target_of_many_asks_is_dialled_once_although_no_view_names_it() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    for n in 0..20 {
        let batch = s.send(&set(&key, "v"));
        assert_eq!(s.written(A), wire(&["SET", &key, "v"]));
        s.reply(A, ask(&key, 9));
        if n == 0 {
            s.accept(9);
        }
        assert_eq!(s.written(9), wires(&[&["ASKING"], &["SET", &key, "v"]]), "ask {n}");
        s.reply(9, "+OK\r\n+OK\r\n");
        assert_eq!(s.result(batch, 0), "+OK\\r\\n");
        let pause = s.idle(100, &THIRDS);
        assert_eq!((pause.dialled, pause.written), (vec![], vec![]));
    }
}

#[test]
fn a_redirect_that_may_not_be_followed_still_teaches_the_owner() {
    let mut config = config();
    config.hops_max = 0;
    let mut s = Script::start_with(config);
    let key = key_of(A, 1);
    let batch = s.send(&set(&key, "1"));
    s.written(A);
    s.reply(A, moved(&key, B));
    assert_eq!(s.result(batch, 0), "Redirects NotExecuted");
    s.send(&set(&key, "2"));
    assert_eq!(s.written(A), b"");
    s.accept(B);
    assert_eq!(s.written(B), wire(&["SET", &key, "2"]));
}

#[test]
fn a_view_cannot_name_a_node_that_is_not_accepted() {
    let mut config = config();
    config.accept_node = Some(std::sync::Arc::new(|endpoint: &Endpoint| endpoint.port != 9));
    let mut s = Script::start_with(config);
    s.engine.refresh_topology(s.now);
    let view = [(0, 5460, A), (5461, 10922, 9), (10923, 16383, C)];
    s.idle(200, &view);
    let batch = s.send(&set(&key_of(B, 1), "v"));
    let trying = s.idle(5_100, &view);
    assert!(!trying.dialled.contains(&9));
    assert!(s.result(batch, 0).ends_with("NotExecuted"), "{}", s.result(batch, 0));
    s.assert_empty();
}

#[test]
fn another_node_is_dialled_when_the_only_connected_one_does_not_answer_the_question() {
    let mut s = Script::start();
    s.engine.refresh_topology(s.now);
    for _ in 0..3_000 {
        s.tick(1);
        s.written(A);
    }
    assert!(s.is_open(A), "it is only slow");
    assert!(s.dials.contains(&B) || s.dials.contains(&C), "{:?}", s.dials);
}

#[test]
fn nodes_that_refuse_the_question_are_asked_ever_more_slowly() {
    let mut s = Script::start();
    s.send(&get(&key_of(B, 1)));
    s.accept(B);
    s.written(B);
    s.reply(B, "_\r\n");
    s.engine.refresh_topology(s.now);
    let mut asked = 0;
    for _ in 0..10_000 {
        s.tick(1);
        for port in [A, B] {
            if !s.written(port).is_empty() {
                asked += 1;
                s.reply(port, "-NOPERM this user has no permissions to run 'cluster'\r\n");
            }
        }
    }
    assert!((8..40).contains(&asked), "{asked} questions in ten seconds");
}

#[test]
fn a_node_is_dialled_for_waiting_commands_when_its_address_becomes_known() {
    let view = slots_reply(&THIRDS);
    let (head, tail) = view.split_once(&format!("$1\r\nh\r\n:{B}\r\n")).expect("B's address");
    let mut s = Script::start_with_reply(config(), &format!("{head}$1\r\n?\r\n:{B}\r\n{tail}"));
    let batch = s.send(&get(&key_of(B, 1)));
    assert_eq!(s.dials, []);
    s.engine.refresh_topology(s.now);
    while s.written(A).is_empty() {
        s.tick(1);
    }
    s.reply(A, &view);
    assert!(s.dials.contains(&B), "{:?}", s.dials);
    s.accept(B);
    s.written(B);
    s.reply(B, "_\r\n");
    assert_eq!(s.result(batch, 0), "_\\r\\n");
}
