//! The tour's pages: links that lead somewhere, pictures and the table as the code draws them.
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::{run, rust};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tour")
}

fn files(extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).expect("docs/tour");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

#[test]
fn pictures_and_table_are_what_the_code_draws() {
    let drawn = TempDir::new().expect("a folder");
    run(rust("tour-pictures"), &[drawn.path().to_str().expect("a path in UTF-8")]);
    let mut pictures = files("svg");
    assert_eq!(pictures.len(), 9);
    pictures.push(folder().join("5-echo.md"));
    for committed in pictures {
        let name = committed.file_name().expect("a name");
        let new = fs::read_to_string(drawn.path().join(name)).expect("a picture drawn");
        let old = fs::read_to_string(&committed).expect("a picture committed");
        assert!(new == old, "{} is not as drawn: cargo run --example tour-pictures", committed.display());
    }
}

#[test]
fn every_chapter_has_a_picture_a_program_counterparts_exercises_and_answers() {
    let chapters: Vec<PathBuf> = files("md").into_iter().filter(|path| !path.ends_with("README.md")).collect();
    assert_eq!(chapters.len(), 7);
    for (number, chapter) in (1..).zip(chapters) {
        let text = fs::read_to_string(&chapter).expect("a chapter");
        let begins = format!("# {number}. ");
        for part in [
            begins.as_str(),
            ".svg)",
            ".rs)",
            "\n## In C and Python\n",
            ".c)",
            ".py)",
            "\n## Exercises\n\n1. ",
            "\n## Answers\n\n1. ",
        ] {
            assert!(text.contains(part), "{}: no {part:?}", chapter.display());
        }
        let (exercises, answers) = text.split_once("\n## Answers\n").expect("answers");
        let (_, exercises) = exercises.split_once("\n## Exercises\n").expect("exercises");
        assert_eq!(numbered(exercises), numbered(answers), "{}", chapter.display());
    }
}

/// How many items a numbered list has.
fn numbered(list: &str) -> usize {
    list.lines().filter(|line| line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())).count()
}

#[test]
fn every_link_leads_somewhere() {
    for page in files("md") {
        let text = fs::read_to_string(&page).expect("a page");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = page.parent().expect("a folder").join(path);
            assert!(target.exists(), "{}: {link}", page.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).expect("a page");
                let headings: Vec<String> = text.lines().filter(|line| line.starts_with('#')).map(slug).collect();
                assert!(headings.iter().any(|found| found == heading), "{}: {link} in {headings:?}", page.display());
            }
        }
    }
}

/// A heading as it is written after `#` in a link: lower case, a hyphen for each space, no other punctuation.
fn slug(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
}
