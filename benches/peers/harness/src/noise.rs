//! Whether the machine was ours while a round ran.

use crate::engine::Result;
use std::fs::read_to_string;

/// Foreign share of the machine above which a round is refused.
pub(crate) const FOREIGN_MAX: f64 = 0.05;

/// Median of one write with one sync above which a round is refused, in microseconds.
pub(crate) const FLOOR_US_MAX: f64 = 1000.0;

/// Ticks of processor time since the machine and this process began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    busy: u64,
    all: u64,
    own: u64,
}

impl Cpu {
    /// Reads the counters. Children count as ours once they were waited for.
    ///
    /// # Errors
    /// If the system has no /proc.
    pub(crate) fn now() -> Result<Self> {
        let stat = read_to_string("/proc/stat")?;
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = line.split_whitespace().flat_map(str::parse).collect();
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks[..] else {
            return Err("/proc/stat: not as expected".into());
        };
        let busy = user + nice + system + irq + softirq + steal;
        let own = read_to_string("/proc/self/stat")?;
        // The name of the program, in parentheses, may hold spaces.
        let fields = own.rsplit(')').next().unwrap_or_default();
        let times = fields.split_whitespace().skip(11).take(4);
        let own = times.flat_map(str::parse::<u64>).sum();
        Ok(Self { busy, all: busy + idle + iowait, own })
    }

    /// Returns the share of the machine that others used since then.
    ///
    /// # Errors
    /// As [`Cpu::now`].
    pub(crate) fn foreign_since(self) -> Result<f64> {
        let now = Self::now()?;
        let own = now.own.saturating_sub(self.own);
        let foreign = (now.busy - self.busy).saturating_sub(own);
        let all = (now.all - self.all).max(1);
        Ok(foreign as f64 / all as f64)
    }
}
