//! Rules about views, kept and broken: what the servers see tells which.

use super::views::{slots, start_with_two};
use super::*;
use crate::config::{Broken, Rule};

fn breaking(rule: Option<Rule>) -> Config {
    let mut config = config();
    config.broken = rule.map_or_else(Broken::default, Broken::only);
    config
}

#[test]
fn a_view_that_was_asked_for_before_a_redirect_does_not_undo_it() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.send(&get(&key));
    s.accept_quietly(B);
    s.engine.refresh_topology(s.now);
    let mut written = Vec::new();
    while !written.ends_with(&slots()) {
        s.tick(1);
        written.extend(s.written(A));
    }
    s.tick(1);
    s.reply(A, moved(&key, B) + &slots_reply(&THIRDS));
    let owner = s.engine.slot_owner(slot_of(key.as_bytes())).expect("an owner").port;
    assert_eq!(owner, B);
}

#[test]
fn rule_learned_at_broken_lets_an_old_view_undo_a_redirect() {
    let mut s = Script::start_with(breaking(Some(Rule::LearnedAt)));
    let key = key_of(A, 1);
    s.send(&get(&key));
    s.engine.refresh_topology(s.now);
    let mut written = Vec::new();
    while !written.ends_with(&slots()) {
        s.tick(1);
        written.extend(s.written(A));
    }
    s.tick(1);
    s.reply(A, moved(&key, B));
    s.tick(1);
    s.reply(A, slots_reply(&THIRDS));
    assert_eq!(s.engine.slot_owner(slot_of(key.as_bytes())).expect("an owner").port, A);
}

/// What the new owner is sent while a command of the slot is in flight on the old one.
fn sent_to_new_owner(rule: Option<Rule>) -> Vec<u8> {
    let mut s = start_with_two(breaking(rule));
    let key = key_of(A, 1);
    s.tick(2_100);
    s.send(&set(&key, "1"));
    s.written(A);
    s.engine.refresh_topology(s.now);
    while !s.written(B).ends_with(&slots()) {
        s.tick(1);
        if s.written(A) == slots() {
            s.tick(1_001);
        }
    }
    s.reply(B, slots_reply(&[(0, 10922, B), (10923, 16383, C)]));
    s.send(&set(&key, "2"));
    s.written(B)
}

#[test]
fn a_new_owner_in_a_view_gets_nothing_before_the_old_one_has_answered() {
    assert_eq!(sent_to_new_owner(None), b"");
    assert_eq!(sent_to_new_owner(Some(Rule::FenceOnView)), wire(&["SET", &key_of(A, 1), "2"]));
}
