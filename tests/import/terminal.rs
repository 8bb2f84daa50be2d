//! The bar, on a terminal of this width and that.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::tool::{Tool, embedded, kv};

/// Our side of a terminal, and the side of the program that runs in it.
fn terminal(columns: u16) -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    unlockpt(&ours).expect("a terminal");
    let name = ptsname(&ours, Vec::new()).expect("it has a name");
    let theirs = OpenOptions::new().read(true).write(true).open(OsStr::from_bytes(name.to_bytes()));
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&ours, size).expect("a terminal has a size");
    (File::from(ours), theirs.expect("a terminal"))
}

/// What was on the line at one moment or another, without what moves and colours it.
fn lines(mut bytes: &[u8]) -> Vec<String> {
    let mut text = Vec::new();
    while let Some((&byte, rest)) = bytes.split_first() {
        bytes = rest;
        match byte {
            b'\x1b' => {
                let end = bytes.iter().position(u8::is_ascii_alphabetic).unwrap_or(bytes.len() - 1);
                bytes = &bytes[end + 1..];
            }
            b'\r' => text.push(b'\n'),
            byte => text.push(byte),
        }
    }
    let text = String::from_utf8(text).expect("text");
    text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_bar_fits_and_names_the_node_that_stalls() {
    for columns in [40, 80, 200] {
        let cluster = embedded();
        let tool = Tool::new(&cluster.url());
        tool.write("data.kv", kv(12_000));
        let (mut ours, theirs) = terminal(columns);
        let mut command = tool.command(&["data.kv", "--rate", "4000"]);
        command.env("TERM", "xterm").env_remove("COLUMNS");
        command.stdout(theirs.try_clone().expect("a terminal")).stderr(theirs);
        let mut child = command.spawn().expect("the tool starts");
        drop(command);
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // It ends with an error, when nobody has the other side any more.
            let _ = ours.read_to_end(&mut bytes);
            bytes
        });
        std::thread::sleep(Duration::from_secs(1));
        cluster.freeze(0);
        std::thread::sleep(Duration::from_millis(2500));
        cluster.thaw(0);
        assert!(child.wait().expect("a child").success());
        let lines = lines(&reader.join().expect("it reads"));
        let long = lines.iter().find(|line| line.chars().count() > usize::from(columns));
        assert_eq!(long, None, "{columns} columns");
        let has = |part: &str| lines.iter().any(|line| line.contains(part));
        assert!(has("% stalled on 127.0.0.1:") || has("] stalled on 127.0.0.1:"), "{lines:#?}");
        assert!(has(" left") && has("/s"), "{lines:#?}");
        assert_eq!(has("[==="), columns >= 60, "{lines:#?}");
        let percents: Vec<u32> =
            lines.iter().filter_map(|line| line.split_once('%')?.0.trim().parse().ok()).collect();
        assert!(
            percents.is_sorted() && percents.iter().any(|percent| (20..80).contains(percent)),
            "{percents:?}"
        );
        assert!(has("12,000 records, 12,000 written"), "the summary\n{lines:#?}");
    }
}
