//! What DHAT in its copy mode has found: calls of `memcpy`, `memmove` and their like, with the stacks that made them.
//!
//! A copy whose size the compiler knows is a few moves and no call: it is not seen here (the instruction count sees it). So the bytes
//! are those whose number depends on the data: keys, values, replies, and structures too large to be moved in line.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Its file, as far as it is looked at.
#[derive(Debug, Deserialize)]
struct Output {
    mode: String,
    /// Program points: a stack and what was copied there.
    pps: Vec<Point>,
    /// Frames, as text, by number.
    ftbl: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Point {
    /// Bytes.
    tb: u64,
    /// Frames, the innermost first.
    fs: Vec<usize>,
}

/// Bytes copied below functions of `peer::measured`, by the place that copied them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Copies {
    pub(crate) bytes: u64,
    pub(crate) places: BTreeMap<String, u64>,
}

pub(crate) fn copies(text: &str) -> Result<Copies, String> {
    let output: Output = serde_json::from_str(text).map_err(|error| format!("not DHAT's output: {error}"))?;
    if output.mode != "copy" {
        return Err(format!("DHAT ran in mode `{}` and not `copy`", output.mode));
    }
    let mut copies = Copies::default();
    for point in &output.pps {
        let frame =
            |&number: &usize| output.ftbl.get(number).map(String::as_str).ok_or("a frame has no name");
        let frames: Vec<&str> = point.fs.iter().map(frame).collect::<Result<_, _>>()?;
        if frames.iter().any(|frame| is_measured(frame)) {
            copies.bytes += point.tb;
            *copies.places.entry(place(&frames)).or_default() += point.tb;
        }
    }
    Ok(copies)
}

/// Whether a frame is a function of `peer::measured`: its path, not that of a type it works on.
fn is_measured(frame: &str) -> bool {
    let mut depth = 0_usize;
    let path: String = frame
        .chars()
        .filter(|letter| {
            match letter {
                '<' => depth += 1,
                '>' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })
        .collect();
    path.contains("::measured::")
}

/// The innermost frame that is not of `memcpy` itself or of the standard library.
fn place(frames: &[&str]) -> String {
    let foreign = |frame: &&&str| frame.contains("(in ") || frame.contains("(library/");
    let own = frames.iter().find(|frame| !foreign(frame)).or(frames.first()).copied().unwrap_or("nowhere");
    // An address comes first, and differs from build to build.
    own.split_once(": ").map_or(own, |(_, name)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: &str = r#""ftbl":["[root]",
        "0x1: memmove (in vgpreload_dhat.so)", "0x2: copy_from_slice<u8> (library/core/src/slice/mod.rs:4325)",
        "0x3: put (encode.rs:65)", "0x4: count::peer::measured::submit (measured.rs:28)", "0x5: main (count.rs:1)",
        "0x6: fold<count::peer::measured::Sum> (peer.rs:9)"]"#;

    fn output(mode: &str, points: &str) -> String {
        format!(r#"{{"dhatFileVersion":2,"mode":"{mode}","pps":[{points}],{FRAMES}}}"#)
    }

    #[test]
    fn only_what_the_measured_functions_copy_counts() {
        let points = r#"{"tb":80,"tbk":2,"fs":[1,2,3,4,5]},{"tb":5,"tbk":1,"fs":[1,4,5]},
            {"tb":1000,"tbk":1,"fs":[1,2,3,5]},{"tb":3000,"tbk":1,"fs":[1,6,5]}"#;
        let copies = copies(&output("copy", points)).unwrap();
        assert_eq!(copies.bytes, 85);
        let places: Vec<(&str, u64)> =
            copies.places.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        assert_eq!(
            places,
            [("count::peer::measured::submit (measured.rs:28)", 5), ("put (encode.rs:65)", 80)]
        );
    }

    #[test]
    fn nothing_copied_is_zero() {
        assert_eq!(copies(&output("copy", "")), Ok(Copies::default()));
    }

    #[test]
    fn other_output_is_an_error() {
        for text in ["", "{}", &output("heap", ""), &output("copy", r#"{"tb":1,"tbk":1,"fs":[99]}"#)] {
            assert!(copies(text).is_err(), "{text}");
        }
    }
}
