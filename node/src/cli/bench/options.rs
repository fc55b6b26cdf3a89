//! What `shoal bench` can be told, and what follows from it.

use super::{
    doors::Protocol,
    keys::{Keys, Popularity},
    marks::Mark,
    payload::Sizes,
    schedule::{Arrivals, Extent},
    trace::{self, Format},
    workload::Workload,
};
use crate::cli::{
    settings::HostPort,
    tls_options::TlsOptions,
    token::{Secret, TokenArgument},
};
use anyhow::ensure;
use clap::Args;
use shoal_node::auth::DEFAULT_USER;
use shoal_proto::types::Consistency;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Requests that all workers together have under way.
const MAX_IN_FLIGHT: u64 = 100_000;
const MAX_RATE: u64 = 10_000_000;
/// Thirty days: longer than any run, short enough to be added to any time.
const MAX_TIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a drawn workload goes when nothing says so.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
const DEFAULT_READ_RATIO: f64 = 0.95;

/// `shoal bench`.
///
/// Without --rate every worker sends its next request when an answer has come: latencies are those of a client that
/// waits, and a server that stalls slows the load down with it. With --rate requests come by a schedule whether or not
/// the server keeps up, and latencies count from when a request was due.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to speak
    #[arg(long, value_enum, default_value_t = Protocol::Resp)]
    door: Protocol,
    /// Addresses of nodes, over which workers are spread [default: that door of a local node]
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = address)]
    node: Vec<HostPort>,
    #[command(flatten)]
    tls: TlsOptions,
    #[command(flatten)]
    token: TokenArgument,
    /// User to whom the token belongs, which RESP has to be told
    #[arg(long, value_name = "NAME", default_value = DEFAULT_USER)]
    user: String,
    /// Requests per second, all workers together; as many as get answered when left out
    #[arg(long, value_name = "R", value_parser = between(1, MAX_RATE))]
    rate: Option<u64>,
    /// How requests of a rate are spaced
    #[arg(long, value_enum, default_value_t = Arrivals::Poisson, requires = "rate")]
    arrivals: Arrivals,
    /// How many workers, each with a connection of its own
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = between(1, 10_000))]
    concurrency: u64,
    /// Requests each worker has under way at once; further ones wait, and their wait counts
    #[arg(long, value_name = "P", default_value_t = 1, value_parser = between(1, 10_000))]
    pipeline: u64,
    /// How long to measure [default: 10s, unless --requests or --trace ends it]
    #[arg(long, value_name = "TIME", value_parser = bounded_time)]
    duration: Option<Duration>,
    /// Stop after this many requests
    #[arg(long, alias = "limit", value_name = "N", value_parser = between(1, u64::MAX))]
    requests: Option<u64>,
    /// How long to send requests before they count
    #[arg(long, value_name = "TIME", value_parser = bounded_time)]
    warmup: Option<Duration>,
    /// Write every key once before anything is measured
    #[arg(long, conflicts_with = "trace")]
    preload: bool,
    /// Read the keys in this file, one key number per request, packed with gzip or plain
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keys", "distribution", "read_ratio"])]
    trace: Option<PathBuf>,
    /// What the trace holds per request
    #[arg(long, value_enum, default_value_t = Format::U32, requires = "trace")]
    format: Format,
    /// How many keys there are
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    keys: u32,
    /// How requests spread over the keys: uniform, zipf or zipf:THETA
    #[arg(long, value_name = "NAME", default_value = "zipf")]
    distribution: Popularity,
    /// Share of reads, from 0 to 1 [default: 0.95]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    read_ratio: Option<f64>,
    /// Size of values, or a range such as 10..4KiB; a trace may know better
    #[arg(long, value_name = "SIZE", default_value = "100")]
    value_size: Sizes,
    /// How long values live, such as 60s; until they are evicted when left out
    #[arg(long, value_name = "TIME", value_parser = bounded_time)]
    ttl: Option<Duration>,
    /// Write the key after a miss [default: with --trace or --load-delay]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    fill: Option<bool>,
    /// How long the origin takes after a miss, before the key is written; shown as `load` with all of it
    #[arg(long, value_name = "TIME", value_parser = bounded_time)]
    load_delay: Option<Duration>,
    /// Consistency level of all requests [default: the node's setting]
    #[arg(long, value_name = "LEVEL")]
    consistency: Option<Consistency>,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = bounded_time)]
    timeout: Duration,
    /// The same seed makes the same requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Write latencies, throughput and errors over time to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) timeline: Option<PathBuf>,
    /// Draw them into this file
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
    /// Mark a time in them, such as 10s:kill; may be given several times
    #[arg(long, value_name = "TIME:LABEL")]
    pub(crate) mark: Vec<Mark>,
    /// Mark the time at which a line is appended to this file, with the line
    #[arg(long, value_name = "FILE")]
    pub(crate) marks: Option<PathBuf>,
}

/// The same, checked and complete.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) protocol: Protocol,
    /// At least one.
    pub(crate) nodes: Vec<HostPort>,
    pub(crate) tls: TlsOptions,
    pub(crate) user: String,
    pub(crate) secret: Option<Secret>,
    pub(crate) rate: Option<u64>,
    pub(crate) arrivals: Arrivals,
    pub(crate) concurrency: usize,
    pub(crate) pipeline: usize,
    pub(crate) extent: Extent,
    pub(crate) consistency: Option<Consistency>,
    pub(crate) ttl: Option<Duration>,
    /// Whether a miss is followed by a write.
    pub(crate) fill: bool,
    pub(crate) load_delay: Option<Duration>,
    pub(crate) timeout: Duration,
    pub(crate) seed: u64,
    /// Keys to write first.
    pub(crate) preload: Option<Arc<Workload>>,
    pub(crate) workload: Arc<Workload>,
    /// The workload in words.
    pub(crate) description: String,
}

impl Bench {
    /// # Errors
    /// When options do not go together, or the trace cannot be read.
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let in_flight = self.concurrency * self.pipeline;
        ensure!(
            in_flight <= MAX_IN_FLIGHT,
            "--concurrency times --pipeline is {in_flight}, more than {MAX_IN_FLIGHT} requests at once"
        );
        ensure!(
            self.load_delay.is_none() || self.fill != Some(false),
            "--load-delay loads what is then written: it does not go with --fill=false"
        );
        let whole_seconds = |ttl: Duration| ttl.subsec_nanos() == 0;
        ensure!(
            self.door != Protocol::Rest || self.ttl.is_none_or(whole_seconds),
            "--ttl must be whole seconds for REST"
        );
        let workload = self.workload()?;
        let nodes = match self.node.as_slice() {
            [] => vec![address(self.door.default_node()).map_err(anyhow::Error::msg)?],
            nodes => nodes.to_vec(),
        };
        let is_endless = self.trace.is_none() && self.requests.is_none();
        let sizes = self.value_size;
        Ok(Plan {
            protocol: self.door,
            nodes,
            tls: self.tls.clone(),
            user: self.user.clone(),
            secret: self.token.read()?,
            rate: self.rate,
            arrivals: self.arrivals,
            concurrency: as_count(self.concurrency),
            pipeline: as_count(self.pipeline),
            extent: Extent {
                warmup: self.warmup.unwrap_or_default(),
                duration: self.duration.or(is_endless.then_some(DEFAULT_DURATION)),
                requests: self.requests,
                available: workload.len(),
            },
            consistency: self.consistency,
            ttl: self.ttl,
            fill: self.fill.unwrap_or(self.trace.is_some() || self.load_delay.is_some()),
            load_delay: self.load_delay,
            timeout: self.timeout,
            seed: self.seed,
            preload: self.preload.then(|| Workload::Load { keys: self.keys, sizes, seed: self.seed }.into()),
            workload: workload.into(),
            description: self.description(),
        })
    }

    fn workload(&self) -> anyhow::Result<Workload> {
        let (sizes, seed) = (self.value_size, self.seed);
        let Some(path) = &self.trace else {
            let keys = Keys::new(self.keys, self.distribution);
            let read_ratio = self.read_ratio.unwrap_or(DEFAULT_READ_RATIO);
            return Ok(Workload::Drawn { keys, read_ratio, sizes, seed });
        };
        // How many requests a warm-up takes nobody knows.
        let limit = self.requests.filter(|_| self.warmup.is_none()).map_or(usize::MAX, as_count);
        Ok(Workload::Trace { entries: trace::read(path, self.format, limit)?, sizes, seed })
    }

    fn description(&self) -> String {
        let what = match &self.trace {
            Some(path) => format!("trace {}", path.display()),
            None => format!(
                "{} keys {}, {} % reads",
                self.keys,
                self.distribution,
                // To four decimals, those that are not zero.
                (1e6 * self.read_ratio.unwrap_or(DEFAULT_READ_RATIO)).round() / 1e4
            ),
        };
        let pace = self.rate.map_or_else(|| "closed loop".into(), |rate| format!("{rate} requests/s"));
        let level = self.consistency.map(|level| format!(" at {level}")).unwrap_or_default();
        format!(
            "{}{level}: {what}, values of {} bytes, {pace}, {} workers of {}",
            self.door, self.value_size, self.concurrency, self.pipeline
        )
    }
}

fn as_count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn between(least: u64, most: u64) -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(least..=most)
}

fn address(text: &str) -> Result<HostPort, String> {
    text.parse().map_err(|_| "expected an address such as 127.0.0.1:7379".into())
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share from 0 to 1".into()),
    }
}

/// Reads a time such as `60s`, longer than none and up to [`MAX_TIME`].
fn bounded_time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() && time <= MAX_TIME => Ok(time),
        _ => Err("expected a time such as 60s or 15m, longer than 0 and up to 30 days".into()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use clap::FromArgMatches as _;

    /// What a command line plans.
    pub(crate) fn planned(arguments: &[&str]) -> anyhow::Result<Plan> {
        let command = Bench::augment_args(clap::Command::new("bench"));
        let matches = command.try_get_matches_from(["bench"].iter().chain(arguments))?;
        Bench::from_arg_matches(&matches)?.plan()
    }

    fn refusal(arguments: &[&str]) -> String {
        planned(arguments).expect_err(&arguments.join(" ")).to_string()
    }

    #[test]
    fn a_drawn_workload_ends_by_itself_and_a_trace_where_it_ends() {
        let extent = planned(&[]).unwrap().extent;
        assert_eq!(
            (extent.duration, extent.requests, extent.available),
            (Some(DEFAULT_DURATION), None, None)
        );
        let extent = planned(&["--requests", "5"]).unwrap().extent;
        assert_eq!((extent.duration, extent.requests), (None, Some(5)));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0; 40]).unwrap();
        let trace = file.path().to_str().unwrap();
        let plan = planned(&["--trace", trace]).unwrap();
        assert_eq!((plan.extent.duration, plan.extent.available, plan.fill), (None, Some(10), true));
        assert_eq!(planned(&["--trace", trace, "--limit", "4"]).unwrap().extent.available, Some(4));
        let warm = planned(&["--trace", trace, "--limit", "4", "--warmup", "1s"]).unwrap();
        assert_eq!((warm.extent.available, warm.extent.requests), (Some(10), Some(4)));
    }

    #[test]
    fn misses_are_filled_when_somebody_says_so() {
        for (arguments, fill) in [
            (&[][..], false),
            (&["--fill"], true),
            (&["--load-delay", "5ms"], true),
            (&["--fill=false"], false),
        ] {
            assert_eq!(planned(arguments).unwrap().fill, fill, "{arguments:?}");
        }
        assert!(refusal(&["--load-delay", "5ms", "--fill=false"]).contains("--load-delay"));
    }

    #[test]
    fn each_door_has_its_port() {
        for (door, node) in
            [("resp", "127.0.0.1:7379"), ("rest", "127.0.0.1:7380"), ("grpc", "127.0.0.1:7381")]
        {
            let plan = planned(&["--door", door]).unwrap();
            assert_eq!(plan.nodes.iter().map(ToString::to_string).collect::<Vec<_>>(), [node]);
        }
        assert_eq!(planned(&["--node", "a:1,b:2", "--node", "c:3"]).unwrap().nodes.len(), 3);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (arguments, reason) in [
            (&["--node", "nowhere"][..], "expected an address"),
            (&["--rate", "0"], "not in 1..="),
            (&["--rate", "1.5"], "invalid digit"),
            (&["--arrivals", "constant"], "--rate"),
            (&["--concurrency", "10000", "--pipeline", "11"], "110000, more than 100000 requests at once"),
            (&["--keys", "0"], "not in 1.."),
            (&["--keys", "5", "--trace", "t"], "cannot be used with"),
            (&["--preload", "--trace", "t"], "cannot be used with"),
            (&["--format", "u32x2"], "--trace"),
            (&["--trace", "/nowhere"], "trace /nowhere"),
            (&["--distribution", "zipf:x"], "expected uniform, zipf"),
            (&["--read-ratio", "1.1"], "from 0 to 1"),
            (&["--read-ratio", "NaN"], "from 0 to 1"),
            (&["--value-size", "9MiB"], "up to 8MiB"),
            (&["--duration", "0s"], "longer than 0"),
            (&["--duration", "1y"], "up to 30 days"),
            (&["--door", "rest", "--ttl", "1500ms"], "whole seconds"),
            (&["--consistency", "many"], "many"),
            (&["--mark", "kill"], "10s:kill"),
        ] {
            let told = refusal(arguments);
            assert!(told.contains(reason), "{arguments:?}: {told}");
        }
    }
}
