use crate::call::{Answer, Job};
use crate::cluster::Cluster;
use crate::config::{CallOptions, ClientConfig, MAX_MESSAGE_BYTES, MAX_TIMEOUT, Routing};
use crate::contact::Contact;
use crate::course::Course;
use crate::heard::Heard;
use crate::link::Watch;
use crate::load::Loads;
use crate::retry::{Kind, TagOrigin};
use crate::stats::Counters;
use crate::topology::{Topologies, Topology};
use crate::{ClientError, Deleted, Found, Stats, Status, Stored, Touched, follow, seed, token};
use shoal_membership::ring;
use shoal_proto::types::{Consistency, Key, Tag, UnixMillis, Value};
use shoal_proto::wire::admin::v1::{StatusRequest, admin_client::AdminClient};
use shoal_proto::wire::kv::v1::{self as kv, kv_client::KvClient, operation::Op};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::transport::Channel;

/// A cluster to call. Clones share connections, counters and loads.
///
/// Unless [`Routing::Contact`] is chosen, calls go straight to an owner of their key, and to other nodes when that one
/// fails, as far as a repeat is the same call: reads always; writes and deletes too, because they carry a tag that the
/// client makes from the cluster's time and keeps; changes of expiry only when nothing was done. Every call ends by its
/// timeout, and [`ClientError::maybe`] says whether a write that failed may have taken effect. Repeating such a write
/// with the same [`CallOptions::tag`] is safe; repeating it without one is a new write.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    consistency: Option<Consistency>,
}

/// What clones share.
pub(crate) struct Shared {
    pub(crate) config: ClientConfig,
    pub(crate) counters: Arc<Counters>,
    pub(crate) loads: Loads,
    way: Way,
}

enum Way {
    Owners {
        cluster: Arc<Cluster>,
        /// The task that follows the topology ends when this is dropped.
        _following: oneshot::Sender<()>,
    },
    Contact(Contact),
}

impl Client {
    /// Connects through the first of `addresses` (gRPC `host:port` of nodes) that answers. One is enough: the client
    /// learns of the others.
    ///
    /// # Errors
    /// [`ClientError::Connect`] when none does, [`ClientError::Unauthenticated`] when one does but asks for another token.
    pub async fn connect(addresses: &[String], config: ClientConfig) -> Result<Self, ClientError> {
        let (heard, counters) = (Arc::new(Heard::new()), Arc::new(Counters::default()));
        let seed = seed::choose(config.seed)?;
        let way = match config.routing {
            Routing::Contact => Way::Contact(Contact::connect(addresses, &config, heard).await?),
            Routing::Owners => {
                let cluster = Cluster::new(addresses.to_vec(), config.clone(), heard, counters.clone(), seed);
                Way::follow(Arc::new(cluster)).await?
            }
        };
        let loads = Loads::new(seed);
        Ok(Self { shared: Arc::new(Shared { config, counters, loads, way }), consistency: None })
    }

    /// A handle whose calls are at `level` unless they choose another.
    #[must_use]
    pub fn with_consistency(&self, level: Consistency) -> Self {
        Self { consistency: Some(level), ..self.clone() }
    }

    /// Reads a key. A miss is an answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get(&self, key: Key, options: &CallOptions) -> Result<Found, ClientError> {
        let request =
            kv::GetRequest { key: key.into_bytes(), consistency: self.level(options), deadline_ms: 0 };
        self.call(Op::Get(request), options).await?.try_into()
    }

    /// Stores a value, for `ttl` if there is one, else until it is evicted. A TTL counts in whole milliseconds.
    ///
    /// # Errors
    /// See [`ClientError`]; a TTL of zero is [`ClientError::Invalid`].
    pub async fn set(
        &self,
        key: Key,
        value: Value,
        ttl: Option<Duration>,
        options: &CallOptions,
    ) -> Result<Stored, ClientError> {
        let ttl_ms = ttl.map_or(Ok(0), ttl_ms)?;
        let request = kv::SetRequest {
            key: key.into_bytes(),
            value: value.into_bytes(),
            ttl_ms,
            consistency: self.level(options),
            deadline_ms: 0,
            tag: tag(options),
            expires_at: self.expires_at(ttl_ms).map_or(0, |at| at.0),
        };
        self.call(Op::Set(request), options).await?.try_into()
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete(&self, key: Key, options: &CallOptions) -> Result<Deleted, ClientError> {
        let request = kv::DeleteRequest {
            key: key.into_bytes(),
            consistency: self.level(options),
            deadline_ms: 0,
            tag: tag(options),
        };
        self.call(Op::Delete(request), options).await?.try_into()
    }

    /// Changes when a key expires, to `ttl` from now or to never, without touching its value. A change of expiry keeps
    /// the value's tag, so it never beats a write it did not see.
    ///
    /// # Errors
    /// See [`ClientError`]; a TTL of zero is [`ClientError::Invalid`].
    pub async fn expire(
        &self,
        key: Key,
        ttl: Option<Duration>,
        options: &CallOptions,
    ) -> Result<Touched, ClientError> {
        let request = kv::ExpireRequest {
            key: key.into_bytes(),
            ttl_ms: ttl.map_or(Ok(0), ttl_ms)?,
            consistency: self.level(options),
            deadline_ms: 0,
        };
        self.call(Op::Expire(request), options).await?.try_into()
    }

    /// The cluster as a node sees it: the one that is connected, or any that answers.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        let answer = self.over_channel(async |channel| {
            let mut admin = AdminClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
            admin.status(self.request(StatusRequest {})).await
        });
        answer.await?.into_inner().try_into()
    }

    /// A request in the name of this client's token.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        token::request(self.shared.config.token.as_ref(), message)
    }

    /// Makes a unary call on the channel of the live connection, within the client's timeout.
    pub(crate) async fn over_channel<T>(
        &self,
        call: impl AsyncFnOnce(Channel) -> Result<T, tonic::Status>,
    ) -> Result<T, ClientError> {
        let exchange =
            async { call(self.channel().await?).await.map_err(|status| ClientError::from_status(&status)) };
        let patience = self.shared.config.timeout;
        let message = || format!("no answer within {} ms", patience.as_millis());
        let answer = timeout(patience, exchange).await;
        answer.unwrap_or_else(|_| Err(ClientError::Timeout { message: message(), maybe: false }))
    }

    /// What the client routes by at present. With [`Routing::Contact`] it knows nothing of the kind.
    #[must_use]
    pub fn topology(&self) -> Topologies {
        match &self.shared.way {
            Way::Owners { cluster, .. } => cluster.routes().topologies.clone(),
            Way::Contact(_) => Topologies::default(),
        }
    }

    /// The topology as the connected node, or any that answers, has it at this moment.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn fetch_topology(&self) -> Result<Topology, ClientError> {
        let first = self.over_channel(async |channel| {
            let mut kv = KvClient::new(channel);
            kv.topology(self.request(kv::TopologyRequest {})).await?.into_inner().message().await
        });
        let told = first.await?.ok_or_else(|| ClientError::Protocol("no topology was told".into()))?;
        told.try_into()
    }

    /// What this client and its clones have done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let current = self.topology().current;
        let (epoch, phase) = current.map_or((0, 0), |topology| (topology.epoch, topology.phase.number()));
        self.shared.counters.read(epoch, phase)
    }

    /// An answer that is not about a key named this tag.
    pub(crate) fn hear_tag(&self, tag: Tag) {
        if let Way::Owners { cluster, .. } = &self.shared.way {
            cluster.heard.tag(tag);
        }
    }

    /// A connection to a node for calls that are not about a key.
    pub(crate) async fn channel(&self) -> Result<Channel, ClientError> {
        let ask = || {
            let (reply, channel) = oneshot::channel();
            (Job::Channel(reply), channel)
        };
        let gone = ClientError::Disconnected { maybe: false };
        let cluster = match &self.shared.way {
            Way::Contact(contact) => {
                let (job, channel) = ask();
                contact.submit(job).await;
                return channel.await.unwrap_or(Err(gone));
            }
            Way::Owners { cluster, .. } => cluster,
        };
        let (routes, mut tried, mut attempts) = (cluster.routes(), Vec::new(), Vec::new());
        while let Some((index, node)) = routes.next(0, &tried) {
            tried.push(index);
            let (job, channel) = ask();
            node.submit(job).await;
            match channel.await {
                Ok(Ok(channel)) => return Ok(channel),
                Ok(Err(ClientError::Connect { attempts: more })) => attempts.extend(more),
                Ok(Err(error)) => return Err(error),
                Err(_) => attempts.push((node.address.clone(), gone.to_string())),
            }
        }
        Err(ClientError::Connect { attempts })
    }

    async fn call(&self, op: Op, options: &CallOptions) -> Result<Answer, ClientError> {
        let Shared { config, counters, way, .. } = &*self.shared;
        let patience = options.timeout.unwrap_or(config.timeout).min(MAX_TIMEOUT);
        counters.calls.count();
        let answer = match way {
            Way::Contact(contact) => contact.call(op, patience).await,
            Way::Owners { cluster, .. } => {
                let (op, kind) = tagged(op, cluster);
                let slot = ring::slot(key(&op));
                let answer = Course::new(cluster, op, kind, slot, patience).run().await;
                if let Ok(answer) = &answer {
                    tags(answer).into_iter().flatten().for_each(|tag| cluster.heard.tag(tag));
                }
                answer
            }
        };
        if answer.is_err() {
            counters.failures.count();
        }
        answer
    }

    fn level(&self, options: &CallOptions) -> i32 {
        let level = options.consistency.or(self.consistency);
        level.map_or(kv::Consistency::Unspecified, Into::into).into()
    }

    /// When something expires that is stored now, the same for all attempts; `None` leaves it to the node.
    fn expires_at(&self, ttl_ms: u64) -> Option<UnixMillis> {
        match &self.shared.way {
            Way::Owners { cluster, .. } if ttl_ms > 0 => {
                cluster.heard.cluster_time()?.checked_add(Duration::from_millis(ttl_ms))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shared, consistency } = self;
        f.debug_struct("Client")
            .field("config", &shared.config)
            .field("consistency", consistency)
            .finish_non_exhaustive()
    }
}

impl Way {
    /// Reaches the first of the seeds that answers, and goes on listening to what it says.
    async fn follow(cluster: Arc<Cluster>) -> Result<Self, ClientError> {
        let mut attempts = Vec::new();
        for address in &cluster.seeds {
            let opened = Watch::open(address, &cluster.manner, &cluster.heard).await;
            let taken = opened.and_then(|watch| {
                if let Some(watch) = &watch {
                    let told = Topology::try_from(watch.first.clone());
                    cluster.take(told.map_err(|error| error.to_string())?);
                }
                Ok(watch)
            });
            match taken {
                Ok(watch) => {
                    tracing::debug!(address, "connected");
                    let (following, gone) = oneshot::channel();
                    tokio::spawn(follow::run(cluster.clone(), watch, gone));
                    return Ok(Self::Owners { cluster, _following: following });
                }
                Err(why) => attempts.push((address.clone(), why)),
            }
        }
        Err(ClientError::unreached(attempts))
    }
}

/// Gives a write a tag of this client if it has none and one can be made, and tells how far it may be repeated.
fn tagged(mut op: Op, cluster: &Cluster) -> (Op, Kind) {
    let tag = match &mut op {
        Op::Get(_) => return (op, Kind::Read),
        Op::Expire(_) => return (op, Kind::Expire),
        Op::Set(set) => &mut set.tag,
        Op::Delete(delete) => &mut delete.tag,
    };
    let kind = if *tag != 0 {
        Kind::Tagged(TagOrigin::Caller)
    } else if let Some(next) = cluster.heard.next_tag(cluster.writer) {
        *tag = next.to_bits();
        Kind::Tagged(TagOrigin::Client)
    } else {
        Kind::Untagged
    };
    (op, kind)
}

fn key(op: &Op) -> &[u8] {
    match op {
        Op::Get(get) => &get.key,
        Op::Set(set) => &set.key,
        Op::Delete(delete) => &delete.key,
        Op::Expire(expire) => &expire.key,
    }
}

/// The tags an answer names: later writes must not lose against them.
fn tags(answer: &Answer) -> [Option<Tag>; 2] {
    let outcome = match answer {
        Answer::Get(answer) => &answer.outcome,
        Answer::Set(answer) => &answer.outcome,
        Answer::Delete(answer) => &answer.outcome,
        Answer::Expire(answer) => &answer.outcome,
        Answer::Failure(_) => &None,
    };
    outcome.map_or([None; 2], |outcome| [outcome.tag, outcome.superseded_by].map(Tag::from_bits))
}

fn tag(options: &CallOptions) -> u64 {
    options.tag.map_or(0, Tag::to_bits)
}

/// On the wire zero means forever, so a short TTL is rounded up and one of zero refused.
fn ttl_ms(ttl: Duration) -> Result<u64, ClientError> {
    let millis = ttl.as_nanos().div_ceil(1_000_000);
    match u64::try_from(millis) {
        Ok(0) => Err(ClientError::Invalid("a ttl of zero stores nothing".into())),
        Ok(millis) => Ok(millis),
        Err(_) => Err(ClientError::Invalid(format!("ttl of {millis} ms is out of range"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_ttl_does_not_become_forever() {
        assert_eq!(ttl_ms(Duration::from_nanos(1)), Ok(1));
        assert_eq!(ttl_ms(Duration::from_micros(1_500)), Ok(2));
        assert_eq!(ttl_ms(Duration::from_secs(2)), Ok(2_000));
        assert!(matches!(ttl_ms(Duration::ZERO), Err(ClientError::Invalid(_))));
        assert!(matches!(ttl_ms(Duration::MAX), Err(ClientError::Invalid(_))));
    }
}
