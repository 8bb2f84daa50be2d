//! Names of revisions: what git knows them as, and where their sources are.
//!
//! Invariant: a [`Revision`] of a commit never changes; that of the working tree is whatever lies there when it is built.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow, bail};

/// A state of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Revision {
    Commit {
        /// As short as git makes it.
        hash: String,
        subject: String,
    },
    WorkingTree {
        /// Of the commit that it began with.
        hash: String,
        /// Files that differ from it.
        changed: usize,
    },
}

impl Revision {
    /// What a user calls it.
    ///
    /// # Errors
    /// Where git knows no such revision, or is missing.
    pub(super) fn named(project: &Path, name: &str) -> Result<Revision> {
        if is_working_tree(name) {
            let hash = git(project, &["rev-parse", "--short=12", "HEAD"])?;
            let changed = git(project, &["status", "--porcelain"])?.lines().count();
            return Ok(Revision::WorkingTree { hash, changed });
        }
        // A name that begins with a dash would be an option.
        let commit = format!("{name}^{{commit}}");
        let known =
            git(project, &["rev-parse", "--short=12", "--verify", "--quiet", "--end-of-options", &commit]);
        let Ok(hash) = known else {
            // Git itself may be the problem.
            git(project, &["rev-parse", "HEAD"])?;
            bail!(
                "git knows no revision {name:?}; a commit, a branch or a tag is one, and WORK is the working tree"
            );
        };
        let hash = hash.lines().last().unwrap_or_default().to_owned();
        let subject = git(project, &["log", "-1", "--format=%s", &hash])?;
        Ok(Revision::Commit { hash, subject })
    }

    /// A directory's name for it.
    pub(super) fn directory(&self) -> &str {
        match self {
            Revision::Commit { hash, .. } => hash,
            Revision::WorkingTree { .. } => "WORK",
        }
    }

    /// What a reader must know of it.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Revision::WorkingTree { hash, changed: 0 } => Some(format!("nothing is changed: it is {hash}")),
            Revision::WorkingTree { changed, .. } => Some(format!(
                "{changed} uncommitted change{} belong to it",
                if *changed == 1 { "" } else { "s" }
            )),
            Revision::Commit { .. } => None,
        }
    }

    /// Where its sources are: a commit is checked out below `target/ab`, once.
    ///
    /// # Errors
    /// Where git cannot check it out.
    pub(super) fn sources(&self, project: &Path) -> Result<PathBuf> {
        let Revision::Commit { hash, .. } = self else { return Ok(project.to_path_buf()) };
        let directory = project.join("target/ab").join(hash).join("sources");
        if directory.join(".git").exists() {
            // It may have been touched.
            git(&directory, &["checkout", "--quiet", "--force", "--detach", hash])?;
            return Ok(directory);
        }
        // One that was deleted by hand is still in git's list.
        git(project, &["worktree", "prune"])?;
        let path = directory.display().to_string();
        git(project, &["worktree", "add", "--quiet", "--force", "--detach", &path, hash])?;
        Ok(directory)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Revision::Commit { hash, subject } => write!(f, "{hash} {subject}"),
            Revision::WorkingTree { hash, .. } => write!(f, "the working tree, on {hash}"),
        }
    }
}

fn is_working_tree(name: &str) -> bool {
    name == "WORK" || name == "."
}

/// What git answers, without the last line's end.
fn git(directory: &Path, args: &[&str]) -> Result<String> {
    let output =
        Command::new("git").arg("-C").arg(directory).args(args).output().map_err(|error| {
            match error.kind() {
                ErrorKind::NotFound => anyhow!("git is not on the PATH, and revisions are git's"),
                _ => anyhow!(error).context("git cannot be started"),
            }
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`git {}` ended with {}: {}", args.join(" "), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with one commit; `None` where there is no git.
    struct Repository(PathBuf);

    impl Repository {
        fn new(name: &str) -> Option<Repository> {
            let path = std::env::temp_dir().join(format!("panpipe-bench-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            let repository = Repository(path);
            git(&repository.0, &["init", "--quiet"]).ok()?;
            std::fs::write(repository.0.join("file"), "one").unwrap();
            std::fs::write(repository.0.join(".gitignore"), "/target\n").unwrap();
            git(&repository.0, &["add", "."]).unwrap();
            let name = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"];
            let commit = ["commit", "--quiet", "--no-gpg-sign", "-m", "the first"];
            git(&repository.0, &[&name[..], &commit[..]].concat()).unwrap();
            Some(repository)
        }
    }

    impl Drop for Repository {
        fn drop(&mut self) {
            let _removed = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn commits_are_known_by_all_their_names() {
        let Some(repository) = Repository::new("names") else { return };
        let head = Revision::named(&repository.0, "HEAD").unwrap();
        assert!(head.to_string().ends_with(" the first") && head.note().is_none());
        assert_eq!(Revision::named(&repository.0, head.directory()).unwrap(), head);
        for unknown in ["nonsense", "", "--help", "HEAD~7"] {
            let said = Revision::named(&repository.0, unknown).unwrap_err().to_string();
            assert!(said.contains("git knows no revision"), "{unknown}: {said}");
        }
    }

    #[test]
    fn the_working_tree_says_what_is_changed() {
        let Some(repository) = Repository::new("work") else { return };
        let note = |name| Revision::named(&repository.0, name).unwrap().note().unwrap();
        assert!(note("WORK").starts_with("nothing is changed"));
        std::fs::write(repository.0.join("file"), "two").unwrap();
        assert!(note(".").starts_with("1 uncommitted change belong"), "{}", note("."));
    }

    #[test]
    fn a_commit_is_checked_out_once_and_as_it_was() {
        let Some(repository) = Repository::new("sources") else { return };
        let head = Revision::named(&repository.0, "HEAD").unwrap();
        let file = head.sources(&repository.0).unwrap().join("file");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
        std::fs::write(&file, "touched").unwrap();
        head.sources(&repository.0).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
        std::fs::remove_dir_all(repository.0.join("target")).unwrap();
        head.sources(&repository.0).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
    }

    #[test]
    fn outside_of_a_repository_git_is_the_problem() {
        let said = Revision::named(Path::new("/"), "HEAD").unwrap_err().to_string();
        assert!(!said.contains("git knows no revision"), "{said}");
    }
}
