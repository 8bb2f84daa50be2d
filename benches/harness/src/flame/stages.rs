//! Which stage of a command's life a stack belongs to.
//!
//! One table of rules, read from the innermost frame outwards: the first frame that a rule knows decides. So a copy inside the encoder
//! is encoding, and everything that the kernel does within `send` is writing: on loopback that includes the receiving side.
//!
//! Precision: in an optimised build the compiler mixes the instructions of neighbouring functions; a sample is given to the function that
//! the line table names for its address, inlined ones included. In libc there are no frame pointers: the caller of `memcpy` or `send` is
//! not in the stack, and the call site one further out decides.

/// A stage of a command's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Encode,
    Route,
    Write,
    Wait,
    Read,
    Scan,
    Deliver,
    Other,
}

impl Stage {
    /// In the order of a command's life.
    pub(crate) const ALL: [Stage; 8] = [
        Stage::Encode,
        Stage::Route,
        Stage::Write,
        Stage::Wait,
        Stage::Read,
        Stage::Scan,
        Stage::Deliver,
        Stage::Other,
    ];

    /// Its name and what it holds.
    pub(crate) fn about(self) -> (&'static str, &'static str) {
        match self {
            Stage::Encode => ("encode", "requests built, measured and put into the send queue"),
            Stage::Route => ("route", "slot, owner, fence, window, the entry in flight"),
            Stage::Write => ("write", "send calls with all the kernel does in them, and what leads there"),
            Stage::Wait => ("wait", "epoll, enter and futex calls, sleeping and waking, events looked at"),
            Stage::Read => ("read", "receive calls with all the kernel does in them, and what leads there"),
            Stage::Scan => ("scan", "the ends of replies found"),
            Stage::Deliver => ("deliver", "replies matched, filed, and read by the caller"),
            Stage::Other => ("other", "the harness's own loop, clocks, and what no rule knows"),
        }
    }

    /// How the picture shows it: red, green, blue.
    pub(crate) fn color(self) -> (u8, u8, u8) {
        match self {
            Stage::Encode => (240, 180, 60),
            Stage::Route => (230, 130, 160),
            Stage::Write => (110, 165, 235),
            Stage::Wait => (200, 200, 215),
            Stage::Read => (95, 195, 205),
            Stage::Scan => (140, 200, 110),
            Stage::Deliver => (190, 150, 225),
            Stage::Other => (225, 218, 205),
        }
    }
}

/// How a rule knows a frame.
#[derive(Debug, Clone, Copy)]
enum Is {
    /// The whole name, with or without what is added to kernel and inlined frames.
    Name(&'static str),
    /// The beginning of the path.
    Under(&'static str),
    /// Anywhere in the name.
    Has(&'static str),
}

use Is::{Has, Name, Under};
use Stage::{Deliver, Encode, Other, Read, Route, Scan, Wait, Write};

/// The rules; of several that know a frame the first one holds.
const RULES: &[(Stage, &[Is])] = &[
    // system calls, by the kernel's entry points and by libc's wrappers
    (
        Write,
        &[
            Has("_sys_sendto"),
            Has("_sys_sendmsg"),
            Has("_sys_sendmmsg"),
            Has("_sys_write"),
            Has("_sys_writev"),
            Name("io_send"),
            Name("io_sendmsg"),
            Name("io_write"),
            Name("send"),
            Name("__send"),
            Name("__libc_send"),
            Name("sendto"),
            Name("__libc_sendto"),
            Name("sendmsg"),
            Name("__sendmsg"),
            Name("__libc_sendmsg"),
            Name("write"),
            Name("__write"),
            Name("__libc_write"),
            Name("writev"),
            Name("__writev"),
        ],
    ),
    (
        Read,
        &[
            Has("_sys_recvfrom"),
            Has("_sys_recvmsg"),
            Has("_sys_read"),
            Name("io_recv"),
            Name("io_recvmsg"),
            Name("io_read"),
            Name("recv"),
            Name("__recv"),
            Name("__libc_recv"),
            Name("recvfrom"),
            Name("__libc_recvfrom"),
            Name("recvmsg"),
            Name("__recvmsg"),
            Name("read"),
            Name("__read"),
            Name("__libc_read"),
            Name("readv"),
            Name("__readv"),
        ],
    ),
    // beneath an enter of io_uring: the request that is worked on decides; what is left is taking requests in, and waiting
    (Write, &[Name("io_submit_sqes"), Name("io_submit_sqe"), Name("io_queue_sqe")]),
    (
        Wait,
        &[
            Has("_sys_epoll_"),
            Has("_sys_poll"),
            Has("_sys_ppoll"),
            Has("_sys_select"),
            Has("_sys_pselect"),
            Has("_sys_io_uring_enter"),
            Has("_sys_futex"),
            Has("_sys_nanosleep"),
            Has("_sys_clock_nanosleep"),
            Has("_sys_sched_yield"),
            Has("_sys_timerfd"),
            Name("epoll_wait"),
            Name("__epoll_wait"),
            Name("epoll_pwait"),
            Name("poll"),
            Name("__poll"),
            Name("__GI___poll"),
            Name("syscall"),
        ],
    ),
    // this library
    (
        Write,
        &[
            Under("panpipe::transport::socket::write"),
            Under("panpipe::transport::mio::Mio::push"),
            Under("panpipe::transport::mio::push"),
            Under("panpipe::transport::mio::submit"),
            Under("panpipe::transport::net::submit"),
            Under("panpipe::transport::uring::Uring::push"),
            Under("panpipe::transport::uring::push"),
            Under("panpipe::transport::uring::submit"),
            Under("panpipe::transport::uring::ring::Ring::pieces"),
            Under("panpipe::transport::uring::ring::pieces"),
            Under("panpipe::transport::uring::ring::Ring::send"),
            Under("panpipe::transport::uring::ring::send"),
            Under("panpipe::transport::uring::ring::Lane::send_request"),
            Under("panpipe::transport::uring::ring::send_request"),
            Under("panpipe::transport::uring::ring::Lane::take_sent"),
            Under("panpipe::transport::uring::ring::take_sent"),
            Has("panpipe::transport::Transport>::submit"),
            Under("panpipe::engine::send_queue::share_unsent"),
            Under("panpipe::engine::send_queue::SendQueue::share_unsent"),
            Under("panpipe::engine::share_unsent"),
            Under("panpipe::engine::Engine::share_unsent"),
            Under("panpipe::engine::send_queue::unsent"),
            Under("panpipe::engine::send_queue::advance_sent"),
            Under("panpipe::engine::send_queue::flush"),
            Under("panpipe::engine::send_queue::freeze_tail"),
            Under("panpipe::engine::send_queue::SendQueue::unsent"),
            Under("panpipe::engine::send_queue::SendQueue::advance_sent"),
            Under("panpipe::engine::send_queue::SendQueue::flush"),
            Has("Engine>::handle_sent"),
            Under("panpipe::engine::lifecycle::handle_sent"),
            Under("panpipe::engine::unsent"),
            Under("panpipe::engine::Engine::unsent"),
            Under("panpipe::engine::poll_transmit"),
            Under("panpipe::engine::Engine::poll_transmit"),
            Under("panpipe::engine::submit::flush"),
            Has("Engine>::flush"),
        ],
    ),
    (
        Deliver,
        &[
            Under("panpipe::engine::send_queue::ack"),
            Under("panpipe::engine::send_queue::SendQueue::ack"),
            Under("panpipe::engine::complete"),
            Under("panpipe::engine::reply_slab::Batch::push"),
            Under("panpipe::engine::stream"),
            Under("panpipe::resp::reply"),
            Under("panpipe::resp::from_reply"),
            Under("panpipe::resp::elements"),
            Under("panpipe::pipeline::Replies"),
            Under("panpipe::pipeline::get"),
            Under("panpipe::engine::recv_buf::consume"),
            Under("panpipe::engine::recv_buf::RecvBuf::consume"),
            Under("panpipe::engine::recv_buf::take"),
            Under("panpipe_bench::contender::panpipe::from_reply"),
            Has("as panpipe::resp::from_reply::FromReply>"),
        ],
    ),
    (Route, &[Under("panpipe::engine::reply_slab::push_pending")]),
    (Deliver, &[Under("panpipe::engine::reply_slab")]),
    (
        Scan,
        &[
            Under("panpipe::resp::scan"),
            Under("panpipe::resp::header"),
            Under("panpipe::resp::walk"),
            Under("panpipe::resp::server_error"),
            Under("<panpipe::resp::scan"),
        ],
    ),
    (
        Encode,
        &[
            Under("panpipe::resp::encode"),
            Under("panpipe::command::request"),
            Under("panpipe::command::arg"),
            Under("panpipe::command::cmd"),
            Under("panpipe::engine::send_queue"),
            Under("panpipe::engine::submit::write"),
            Under("panpipe::engine::submit::wire_len"),
            Has("panpipe::resp::encode::WireBuf>"),
        ],
    ),
    (
        Route,
        &[
            Under("panpipe::slot"),
            Under("panpipe::topology"),
            Under("panpipe::command"),
            Under("panpipe::engine::submit"),
            Under("panpipe::engine::parts"),
            Under("panpipe::engine::fence"),
            Under("panpipe::engine::in_flight"),
        ],
    ),
    (
        Read,
        &[
            Under("panpipe::transport::mio::Mio::drain"),
            Under("panpipe::transport::mio::drain"),
            Under("panpipe::transport::uring::Uring::arm_receives"),
            Under("panpipe::transport::uring::arm_receives"),
            Under("panpipe::transport::uring::ring::Ring::receive"),
            Under("panpipe::transport::uring::ring::receive"),
            Under("panpipe::transport::uring::ring::Lane::receive_request"),
            Under("panpipe::transport::uring::ring::receive_request"),
            Under("panpipe::engine::recv_buf"),
        ],
    ),
    (Wait, &[Under("panpipe::transport"), Under("<panpipe::transport"), Under("mio::"), Under("<mio::")]),
    // the floor
    (Scan, &[Has("contender::floor::scan"), Has("contender::floor::full::received")]),
    (Route, &[Has("contender::floor::sockets")]),
    (Encode, &[Has("contender::floor::full")]),
    (Write, &[Has("contender::floor::epoll::write"), Has("contender::floor::ring::push_sends")]),
    (Read, &[Has("contender::floor::epoll::read"), Has("contender::floor::ring::push_receives")]),
    (Wait, &[Has("contender::floor::epoll"), Has("contender::floor::ring")]),
    // redis-rs
    (Encode, &[Under("redis::cmd"), Under("redis::pipeline"), Under("redis::cluster_handling::pipeline")]),
    (Route, &[Under("redis::cluster_routing"), Under("redis::cluster"), Under("crc16")]),
    (Scan, &[Under("redis::parser"), Under("combine")]),
    (Deliver, &[Under("redis::types")]),
    (Write, &[Under("redis::connection::send")]),
    // fred and rustis
    (Encode, &[Has("redis_protocol::resp2::encode"), Has("redis_protocol::resp3::encode")]),
    (Scan, &[Under("redis_protocol")]),
    (Encode, &[Under("rustis::resp::command")]),
    (Scan, &[Under("rustis::resp::")]),
    // the loop that all of them are driven by: nothing further out may claim its time
    (Other, &[Under("panpipe_bench::load"), Under("panpipe_bench::worker")]),
];

impl Is {
    fn knows(self, frame: &str) -> bool {
        match self {
            Name(name) => frame == name,
            Under(path) => frame.strip_prefix(path).is_some_and(|rest| {
                path.ends_with(':') || !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
            }),
            Has(part) => frame.contains(part),
        }
    }
}

/// The stage that a frame by itself belongs to, where a rule knows it.
pub(crate) fn of_frame(frame: &str) -> Option<Stage> {
    let plain = frame.trim_end_matches("_[k]").trim_end_matches("_[i]");
    RULES.iter().find(|(_, rules)| rules.iter().any(|rule| rule.knows(plain))).map(|(stage, _)| *stage)
}

/// libc's copies. Routing copies nothing: one that seems to be its is the encoder's, whose own frame is the one that libc hides.
const COPIES: [&str; 2] = ["__memmove", "__memset"];

/// The stage of a stack, its frames from the outermost to the innermost, separated by semicolons.
pub(crate) fn of_stack(stack: &str) -> Stage {
    let copies =
        stack.rsplit(';').next().is_some_and(|leaf| COPIES.iter().any(|copy| leaf.starts_with(copy)));
    match stack.rsplit(';').find_map(of_frame) {
        Some(Route) if copies => Encode,
        Some(stage) => stage,
        None => Other,
    }
}

/// Samples per stage, in the order of [`Stage::ALL`], of folded stacks: lines of a stack and its count.
pub(crate) fn shares(folded: &str) -> [u64; 8] {
    let mut shares = [0; 8];
    for (stack, count) in lines(folded) {
        shares[of_stack(stack) as usize] += count;
    }
    shares
}

/// Stacks and counts of folded text.
pub(crate) fn lines(folded: &str) -> impl Iterator<Item = (&str, u64)> {
    folded.lines().filter_map(|line| {
        let (stack, count) = line.rsplit_once(' ')?;
        Some((stack, count.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "panpipe-bench;panpipe_bench::load::drive;\
        <panpipe_bench::contender::panpipe::Panpipe as panpipe_bench::contender::Contender>::flush;";

    fn stage(stack: &str) -> Stage {
        of_stack(&format!("{ROOT}{stack}"))
    }

    #[test]
    fn stages_are_numbered_as_they_are_listed() {
        assert!(Stage::ALL.iter().enumerate().all(|(at, stage)| *stage as usize == at));
    }

    #[test]
    fn the_kernel_belongs_to_the_call_that_entered_it() {
        let send = "panpipe::pipeline::Pipeline<T>::flush;panpipe::client::Client<T>::pump;__send;\
            entry_SYSCALL_64_after_hwframe_[k];do_syscall_64_[k];__x64_sys_sendto_[k];__sys_sendto_[k];tcp_sendmsg_[k];\
            tcp_v4_rcv_[k];sock_def_readable_[k];ep_poll_callback_[k]";
        assert_eq!(stage(send), Write);
        assert_eq!(stage("x;__libc_recv;__x64_sys_recvfrom_[k];tcp_recvmsg_[k];_copy_to_iter_[k]"), Read);
        assert_eq!(stage("x;epoll_wait;__x64_sys_epoll_wait_[k];schedule_[k]"), Wait);
        assert_eq!(
            stage("x;syscall;__x64_sys_io_uring_enter_[k];io_issue_sqe_[k];io_send_[k];tcp_sendmsg_[k]"),
            Write
        );
        assert_eq!(stage("x;syscall;__x64_sys_io_uring_enter_[k];io_cqring_wait_[k]"), Wait);
        // Preempted on the way out of the call.
        assert_eq!(
            stage("x;__send;entry_SYSCALL_64_after_hwframe_[k];do_syscall_64_[k];schedule_[k]"),
            Write
        );
    }

    #[test]
    fn an_enter_is_split_by_the_request_that_it_works_on() {
        let enter = "<panpipe::transport::uring::Uring as panpipe::transport::Transport>::wait;\
            panpipe::transport::uring::ring::enter_[i];syscall;__x64_sys_io_uring_enter_[k];";
        let stage = |rest: &str| stage(&format!("{enter}{rest}"));
        let sent =
            "io_submit_sqes_[k];io_issue_sqe_[k];io_send_[k];sock_sendmsg_[k];tcp_sendmsg_[k];tcp_v4_rcv_[k]";
        assert_eq!(stage(sent), Write);
        assert_eq!(stage("io_submit_sqes_[k];io_issue_sqe_[k];io_sendmsg_[k];tcp_sendmsg_locked_[k]"), Write);
        assert_eq!(stage("io_submit_sqes_[k]"), Write, "requests taken in");
        assert_eq!(
            stage("io_cqring_wait_[k];io_run_task_work_[k];io_issue_sqe_[k];io_recv_[k];tcp_recvmsg_[k]"),
            Read
        );
        assert_eq!(stage("io_cqring_wait_[k];schedule_[k];finish_task_switch.isra.0_[k]"), Wait);
        assert_eq!(stage("io_cqring_wait_[k];__io_run_local_work_[k]"), Wait, "completions handed over");
    }

    #[test]
    fn the_ring_of_the_library_has_stages() {
        let uring = |rest: &str| stage(&format!("panpipe::transport::uring::{rest}"));
        assert_eq!(uring("Uring::push;panpipe::engine::share_unsent_[i];bytes::bytes::clone_[i]"), Write);
        assert_eq!(
            uring("push_[i];panpipe::transport::uring::ring::send_[i];io_uring::opcode::build_[i]"),
            Write
        );
        assert_eq!(uring("Uring::arm_receives;panpipe::transport::uring::ring::receive_[i]"), Read);
        assert_eq!(uring("on_completion_[i];panpipe::transport::uring::ring::take_sent_[i]"), Write);
        assert_eq!(uring("wanted_[i];panpipe::engine::is_owed_[i]"), Wait);
        let submit = "<panpipe::transport::uring::Uring as panpipe::transport::Transport>::submit";
        assert_eq!(stage(submit), Write);
        let received = "panpipe::engine::complete::<impl panpipe::engine::Engine>::handle_received";
        assert_eq!(uring(&format!("on_completion_[i];{received}")), Deliver);
    }

    #[test]
    fn an_interrupt_belongs_to_what_it_interrupted() {
        let stack = "panpipe::engine::submit::<impl panpipe::engine::Engine>::place_on;panpipe::slot::slot_of_[i];\
            asm_sysvec_apic_timer_interrupt_[k];handle_softirqs_[k]";
        assert_eq!(stage(stack), Route);
    }

    #[test]
    fn the_innermost_frame_that_is_known_decides() {
        let submit = "panpipe::engine::submit::<impl panpipe::engine::Engine>::place_on";
        assert_eq!(stage(submit), Route);
        assert_eq!(stage(&format!("{submit};panpipe::command::request::write_[i]")), Encode);
        assert_eq!(
            stage(&format!("{submit};panpipe::engine::submit::write_[i];__memmove_avx_unaligned_erms")),
            Encode
        );
        assert_eq!(stage(&format!("{submit};core::slice::index::get_[i]")), Route);
        assert_eq!(stage(&format!("{submit};__memset_avx512_unaligned_erms")), Encode);
        let received = "panpipe::transport::mio::Mio::drain;\
            panpipe::engine::complete::<impl panpipe::engine::Engine>::handle_received";
        assert_eq!(stage(received), Deliver);
        assert_eq!(stage(&format!("{received};panpipe::resp::scan::Scanner::scan_[i]")), Scan);
        assert_eq!(stage(&format!("{received};panpipe::engine::send_queue::ack_[i]")), Deliver);
        assert_eq!(stage(&format!("{received};__memmove_avx_unaligned_erms")), Deliver);
        assert_eq!(stage("panpipe::transport::mio::Mio::drain"), Read);
        assert_eq!(stage("<panpipe::transport::mio::Mio as panpipe::transport::Transport>::wait"), Wait);
    }

    #[test]
    fn a_rule_for_a_path_does_not_know_its_namesakes() {
        assert_eq!(of_frame("panpipe::slot::slot_of"), Some(Route));
        assert_eq!(of_frame("panpipe::slots::other"), None);
        assert_eq!(of_frame("panpipe::resp::reply::ReplyRef::kind_[i]"), Some(Deliver));
        assert_eq!(of_frame("sendmsg_of_somebody"), None);
    }

    #[test]
    fn the_floor_has_stages_of_its_own() {
        let floor = |rest: &str| stage(&format!("panpipe_bench::contender::floor::{rest}"));
        assert_eq!(floor("full::put_bulk_[i];__memmove_avx_unaligned_erms"), Encode);
        assert_eq!(floor("epoll::read_[i];panpipe_bench::contender::floor::scan::whole_string_[i]"), Scan);
        assert_eq!(floor("epoll::write_[i];__send;__x64_sys_sendto_[k]"), Write);
        assert_eq!(floor("full::stage_[i];panpipe::slot::slot_of_[i]"), Route);
        assert_eq!(floor("ring::reap_[i]"), Wait);
    }

    #[test]
    fn what_nobody_knows_is_other() {
        assert_eq!(stage("__vdso_clock_gettime"), Other);
        assert_eq!(of_stack("panpipe-bench;[unknown]"), Other);
    }

    #[test]
    fn shares_count_samples() {
        let folded = format!(
            "{ROOT}__send 7\n{ROOT}panpipe::slot::slot_of 2\n{ROOT}__send;tcp_sendmsg_[k] 3\nno count\n"
        );
        let shares = shares(&folded);
        assert_eq!(shares[Stage::Write as usize], 10);
        assert_eq!(shares[Stage::Route as usize], 2);
        assert_eq!(shares.iter().sum::<u64>(), 12);
    }
}
