//! Plan files: the text format in which findings are saved, replayed and promoted.
//!
//! ```text
//! fastness-plan 1 <check> <twin> <invariant>
//! 0a0b0c..                     the plan's bytes in hex, any number of lines
//! # operations, one a line     comments, ignored when read
//! ```
//!
//! - CA2 Parsing a rendered plan file returns the same plan.

use crate::plans::{Pair, fingerprint, twin_by_name};
use fastness_sim::check::{Plan, by_name};

const MAGIC: &str = "fastness-plan 1";
const HEX_PER_LINE: usize = 48;

/// A plan and the check it belongs to.
#[derive(Clone, Debug)]
pub struct PlanFile {
    /// The check and its twin.
    pub pair: Pair,
    /// Id of the invariant that it violated when found; `-` for none.
    pub invariant: String,
    /// The plan.
    pub plan: Plan,
}

impl PlanFile {
    /// Returns the file name, without extension.
    #[must_use]
    pub fn name(&self) -> String {
        format!(
            "{}-{}-{}-{}",
            self.pair.check.name,
            self.pair.twin.name(),
            self.invariant,
            fingerprint(&self.plan.to_bytes())
        )
    }

    /// Renders the plan file.
    #[must_use]
    pub fn render(&self) -> String {
        let (check, twin) = (self.pair.check.name, self.pair.twin.name());
        let mut text = format!("{MAGIC} {check} {twin} {}\n", self.invariant);
        for line in self.plan.to_bytes().chunks(HEX_PER_LINE) {
            text.extend(line.iter().map(|byte| format!("{byte:02x}")));
            text.push('\n');
        }
        for line in self.plan.to_string().lines() {
            text.push_str("# ");
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Parses a plan file.
    ///
    /// # Errors
    /// A description of the malformed part.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        let words: Vec<&str> = header.split_whitespace().collect();
        let ["fastness-plan", version, check, twin, invariant] = words[..] else {
            return Err(format!("it does not start with `{MAGIC} <check> <twin> <invariant>`"));
        };
        if version != "1" {
            return Err(format!("unsupported version {version}; this program reads version 1"));
        }
        let check = by_name(check).ok_or_else(|| format!("there is no check `{check}`"))?;
        let twin = twin_by_name(twin).ok_or_else(|| format!("there is no twin `{twin}`"))?;
        let digits: String = lines
            .map(str::trim)
            .filter(|line| !line.starts_with('#'))
            .flat_map(str::split_whitespace)
            .collect();
        let plan = Plan::from_bytes(&from_hex(&digits)?);
        Ok(Self { pair: Pair { check, twin }, invariant: invariant.to_owned(), plan })
    }
}

fn from_hex(digits: &str) -> Result<Vec<u8>, String> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
            .ok_or_else(|| "its bytes are not hexadecimal digits".to_owned())
    };
    if !digits.len().is_multiple_of(2) {
        return Err("it has an odd number of hexadecimal digits".to_owned());
    }
    digits.as_bytes().chunks(2).map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::pairs;
    use fastness_sim::check::{CANARY, CHECKS};

    #[test]
    fn a_rendered_plan_file_parses_to_the_same_plan() {
        for pair in CHECKS.iter().chain([&CANARY]).flat_map(|check| pairs(&[check])) {
            let file = PlanFile { pair, invariant: "C2".to_owned(), plan: pair.plan(1, 2) };
            let again = PlanFile::parse(&file.render()).unwrap();
            assert_eq!(again.plan, file.plan);
            assert_eq!(again.invariant, "C2");
            assert_eq!(again.name(), file.name());
        }
    }

    #[test]
    fn malformed_files_are_refused_with_a_description() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            let error = PlanFile::parse(text).unwrap_err();
            assert!(error.contains(expect), "{error}");
        }
        check("", "does not start");
        check("fastness-plan 2 canary plain S1", "version 2");
        check("fastness-plan 1 nothing plain S1", "no check `nothing`");
        check("fastness-plan 1 canary bare S1", "no twin `bare`");
        check("fastness-plan 1 canary plain S1\n0a0", "odd number");
        check("fastness-plan 1 canary plain S1\nzz", "not hexadecimal");
    }
}
