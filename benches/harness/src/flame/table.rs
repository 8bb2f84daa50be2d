//! The shares of the stages as text.

use std::fmt::Write as _;

use super::folded::{Folded, is_in_kernel};
use super::stages::{Stage, lines, of_stack, shares};
use super::{Caption, Sampled};

/// The table; with an earlier run's stacks, its shares stand beside.
pub(super) fn of(caption: &Caption, folded: &Folded, sampled: &Sampled, earlier: Option<&str>) -> String {
    let mut text = format!("{}\n{}\n\n", caption.title, caption.subtitle);
    let ns_per_command = sampled.cpu_ns as f64 / sampled.commands.max(1) as f64;
    let counts = shares(&folded.text);
    let kernel = kernel_shares(&folded.text);
    let before = earlier.map(shares);
    // Writing into a string cannot fail.
    let _ = write!(text, "{:<9}{:>7} {:>6} {:>8} {:>7}", "stage", "share", "+/-", "ns/cmd", "kernel");
    text.push_str(if before.is_some() { "  earlier   change\n" } else { "\n" });
    for stage in Stage::ALL {
        let at = stage as usize;
        let share = share(counts[at], folded.samples);
        let (name, about) = stage.about();
        let _ = write!(
            text,
            "{name:<9}{:>6.1}% {:>6.1} {:>8.1} {:>6.1}%",
            100.0 * share,
            100.0 * deviation(share, folded.samples),
            share * ns_per_command,
            100.0 * self::share(kernel[at], folded.samples)
        );
        if let Some(before) = before {
            let was = self::share(before[at], before.iter().sum());
            let _ = write!(text, " {:>7.1}% {:>+8.1}", 100.0 * was, 100.0 * (share - was));
        }
        let _ = writeln!(text, "  {about}");
    }
    let in_kernel = share(folded.kernel, folded.samples);
    let _ = writeln!(
        text,
        "{:<9}{:>6.1}% {:>6} {ns_per_command:>8.1} {:>6.1}%",
        "all",
        100.0,
        "",
        100.0 * in_kernel
    );
    let _ = write!(
        text,
        "\n+/- is two standard deviations of the sampling. The innermost frame that a rule knows decides, inlined frames\n\
         included; in optimised code neighbouring functions blur into each other by a few points. kernel: the part of the\n\
         share that the kernel spent. ns/cmd: the share of the processor time per command, perf's own cost included.\n"
    );
    if folded.between > 0 {
        let _ = writeln!(text, "Left out: {} samples of the harness between rounds.", folded.between);
    }
    text
}

fn kernel_shares(folded: &str) -> [u64; 8] {
    let mut shares = [0; 8];
    for (stack, count) in lines(folded).filter(|(stack, _)| is_in_kernel(stack)) {
        shares[of_stack(stack) as usize] += count;
    }
    shares
}

fn share(count: u64, of: u64) -> f64 {
    count as f64 / of.max(1) as f64
}

/// Two standard deviations of a share that was counted in so many samples.
fn deviation(share: f64, samples: u64) -> f64 {
    2.0 * (share * (1.0 - share) / samples.max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_their_change_stand_in_the_table() {
        let text =
            "p;panpipe_bench::load::drive;__send;tcp_sendmsg_[k] 30\np;panpipe_bench::load::drive 70\n"
                .to_owned();
        let folded = Folded { text, samples: 100, kernel: 30, between: 2 };
        let sampled = Sampled { script: String::new(), commands: 1000, cpu_ns: 100_000 };
        let caption = Caption { title: "title".to_owned(), subtitle: "subtitle".to_owned() };
        let shown = of(&caption, &folded, &sampled, Some("p;__send 1\np;x 1\n"));
        let write = shown.lines().find(|line| line.starts_with("write")).unwrap();
        let cells: Vec<&str> = write.split_whitespace().take(7).collect();
        assert_eq!(cells, ["write", "30.0%", "9.2", "30.0", "30.0%", "50.0%", "-20.0"], "{shown}");
        assert!(shown.contains("Left out: 2 samples"), "{shown}");
        assert!(!of(&caption, &folded, &sampled, None).contains("change"));
    }
}
