//! The command line, the same for every program.

use crate::bench::Clock;
use crate::selection::Selection;
use crate::world::Sizes;
use clap::Parser;
use std::path::PathBuf;

/// Measures Fastness beside its peers: same rows, same workloads, same minutes.
#[derive(Clone, Debug, Parser)]
#[command(name = "peers")]
pub(crate) struct Args {
    /// A rougher answer: fewer rows and rounds.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only the rows of these keys, or those whose keys begin so.
    #[arg(long, value_name = "ROW", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Rounds that must count.
    #[arg(long, value_name = "COUNT")]
    pub(crate) rounds: Option<usize>,
    /// Count rounds also while others use the machine; the output says so.
    #[arg(long)]
    pub(crate) force: bool,
    /// Measure loads, warm reads and warm scans by the time on a core: better on a busy machine,
    /// unjust where an engine lets other threads work for it.
    #[arg(long)]
    pub(crate) core_time: bool,
    /// Write the rows as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with charts.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Leave out the encrypted peers, which take minutes to build.
    #[arg(long)]
    pub(crate) plain_only: bool,
    /// Only these engines, by name, ours always included.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) engines: Vec<String>,
    /// Where the stores go while they are measured: on the disk to be measured, not in memory.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Rows of the data set.
    #[arg(long, value_name = "COUNT")]
    pub(crate) rows: Option<usize>,
    /// Write what was measured and judge nothing: for the program that conducts.
    #[arg(long, hide = true, value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
    /// Open the store of an engine in `--dir`, and wait to be killed.
    #[arg(long, hide = true, value_name = "NAME")]
    pub(crate) hold: Option<String>,
    /// The round whose data that store holds.
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) round: u64,
}

/// Rows of a full run.
const ROWS: usize = 200_000;

impl Args {
    pub(crate) fn sizes(&self) -> Sizes {
        let rows = self.rows.unwrap_or(if self.quick { 40_000 } else { ROWS });
        let share = |full: usize| if self.quick { full / 5 } else { full };
        Sizes {
            rows,
            // With fewer commits, too large a share of them would extend the log.
            commits: 300,
            latencies: share(20_000),
            turns: 10,
            updates: share(10_000),
            ageing: rows / 2,
            unsynced: share(5_000),
            cache_bytes: 256 << 20,
            // 2 MiB for 200 000 rows, and the same share of fewer.
            small_cache_bytes: (2 << 20) * rows / ROWS,
        }
    }

    /// Returns the rows of the store whose calls are counted, which takes little time.
    pub(crate) fn counted_rows(&self) -> usize {
        self.rows.unwrap_or(ROWS)
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 })
    }

    pub(crate) fn selection(&self) -> Selection {
        Selection { only: self.only.clone() }
    }

    pub(crate) const fn clock(&self) -> Clock {
        if self.core_time { Clock::Core } else { Clock::Wall }
    }

    /// Describes the run.
    pub(crate) fn run(&self) -> String {
        let Sizes { rows, commits, updates, ageing, small_cache_bytes, .. } = self.sizes();
        let small_kib = small_cache_bytes >> 10;
        format!(
            "{rows} rows of 16 + 100 bytes; {commits} single-row commits, {updates} updates in \
             hundreds, {ageing} to age a file; caches of 256 MiB, the small one {small_kib} KiB{}",
            if self.core_time { "; warm loops by the time on a core" } else { "" }
        )
    }
}
