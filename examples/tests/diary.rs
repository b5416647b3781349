//! The example does what the guide says of it, and consists of what the guide shows of it.

const GUIDE: &str = include_str!("../../docs/guide.md");
const SOURCE: &str = include_str!("../src/diary.rs");

/// The fenced blocks of one language below a heading.
fn blocks(heading: &str, language: &str) -> Vec<String> {
    let (_, section) = GUIDE.split_once(heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let fence = format!("```{language}\n");
    let ends = section.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    ends.map(str::to_owned).collect()
}

#[test]
fn it_prints_what_the_guide_says() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_diary")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [expected] = &blocks("## An app\n", "text")[..] else { panic!("one block of text") };
    assert_eq!(String::from_utf8(output.stdout).unwrap(), *expected);
}

#[test]
fn the_guide_shows_parts_of_it() {
    let lines = |text: &str| -> String {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .flat_map(|l| [l, "\n"])
            .collect()
    };
    let shown = blocks("## An app\n", "rust,ignore");
    assert_eq!(shown.len(), 4);
    let source = lines(SOURCE);
    for part in shown {
        assert!(source.contains(&lines(&part)), "not in the example:\n{part}");
    }
}
