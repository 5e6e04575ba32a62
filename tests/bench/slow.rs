//! What one reader who hardly reads costs the others: 999 live streams with a topic each take 1,000 envelopes a second, and
//! one more, of all topics, takes one a second. After a second or so the node has to feed that one from its store.

use std::{path::Path, sync::Arc, time::Duration};

use herald::client::Api;
use herald_protocol::{
    proto::api::{Envelope, SubscribeRequest, message_api_client::MessageApiClient},
    token,
    topic::Topic,
};
use tokio::{
    runtime::Runtime,
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tonic::{Streaming, transport::Endpoint};

use crate::{
    Error,
    figure::{Figure, Round, Target},
    load::{self, MESSAGE_BYTES, conversation},
    node::runtime,
    people,
    process::NodeProcess,
};

/// Milliseconds from publish to the fast readers, 99 of 100; beside it the same without the slow one.
pub(crate) fn latency(folder: &Path) -> Result<Figure, Error> {
    let mut crowd = Crowd::gather(folder)?;
    let mut rounds = Vec::with_capacity(TURNS * MEASURED);
    for number in 0..TURNS {
        let (subjects, floors) = if number % 2 == 0 {
            let subjects = crowd.latencies_beside_slow_reader()?;
            (subjects, crowd.latencies()?)
        } else {
            let floors = crowd.latencies()?;
            (crowd.latencies_beside_slow_reader()?, floors)
        };
        let pairs = subjects.into_iter().zip(floors);
        rounds.extend(pairs.map(|(subject, floor)| Round { subject, floor }));
    }
    crowd.leave()?;
    Ok(Figure::of_rounds("ms", &rounds, Target::AtMost(1.1)))
}

/// KiB that the node's resident memory grows by beside a slow reader, and in the floor's place those it may.
pub(crate) fn memory(folder: &Path) -> Result<Figure, Error> {
    let mut rounds = Vec::with_capacity(MEMORY_ROUNDS);
    for number in 0..MEMORY_ROUNDS {
        let mut crowd = Crowd::gather(&folder.join(number.to_string()))?;
        crowd.publish(BEFORE)?;
        let before = crowd.node.resident_kib()?;
        let slow = crowd.slow_reader()?;
        crowd.publish(BEHIND)?;
        let after = crowd.node.resident_kib()?;
        drop(slow);
        crowd.leave()?;
        rounds.push(Round {
            subject: (f64::from(after) - f64::from(before)).max(0.0),
            floor: MOST_KIB,
        });
    }
    Ok(Figure::of_rounds("KiB", &rounds, Target::AtMost(1.0)))
}

/// A node, and the streams that are read as fast as they come.
struct Crowd {
    node: NodeProcess,
    runtime: Runtime,
    publisher: Api,
    authorization: Arc<str>,
    topics: Vec<Topic>,
    /// Nanoseconds from each publish to its reader; there is room for those of the longest measurement.
    taken: mpsc::Receiver<u64>,
    _fast: JoinSet<()>,
}

impl Crowd {
    fn gather(folder: &Path) -> Result<Self, Error> {
        let node = NodeProcess::start(folder)?;
        let runtime = runtime("crowd")?;
        let topics = (0..FAST).map(conversation).collect::<Result<Vec<_>, _>>()?;
        let (told, taken) = mpsc::channel(FAST as usize * BEHIND);
        let authorization = token::bearer(&people::identity(1)?, herald::clock::now())?.into();
        let address = node.address();
        let (fast, publisher) = runtime.block_on(async {
            let mut fast = JoinSet::new();
            for topics in topics.chunks(STREAMS_A_CONNECTION) {
                let api = Api::new(address.clone())?;
                for topic in topics {
                    let stream = api.subscribe(vec![topic.to_string()]).await?;
                    fast.spawn(read(stream, told.clone()));
                }
            }
            Ok::<_, Error>((fast, Api::new(address)?))
        })?;
        Ok(Self {
            node,
            runtime,
            publisher,
            authorization,
            topics,
            taken,
            _fast: fast,
        })
    }

    /// Ends when it is dropped. Windows are those that HTTP/2 begins with, so that little is on its way to this reader.
    fn slow_reader(&self) -> Result<JoinSet<Result<(), Error>>, Error> {
        let request = SubscribeRequest {
            content_topics: self.topics.iter().map(Topic::to_string).collect(),
        };
        let address = format!("http://{}", self.node.grpc());
        self.runtime.block_on(async {
            let channel = Endpoint::from_shared(address)?.connect().await?;
            let mut stream = MessageApiClient::new(channel)
                .subscribe(request)
                .await?
                .into_inner();
            let mut reading = JoinSet::new();
            reading.spawn(async move {
                while stream.message().await?.is_some() {
                    sleep(PAUSE).await;
                }
                Ok(())
            });
            Ok(reading)
        })
    }

    fn latencies_beside_slow_reader(&mut self) -> Result<Vec<f64>, Error> {
        let slow = self.slow_reader()?;
        let latencies = self.latencies();
        drop(slow);
        latencies
    }

    /// Of every second, after those in which a slow reader falls behind. A copy of the node's log is in few of them.
    fn latencies(&mut self) -> Result<Vec<f64>, Error> {
        self.publish(LEAD)?;
        (0..MEASURED).map(|_| self.publish(1)).collect()
    }

    /// Publishes to all topics in turn until each has had `rounds` envelopes and all have been read. Returns the milliseconds
    /// that 99 of 100 took at most.
    fn publish(&mut self, rounds: usize) -> Result<f64, Error> {
        let expected = rounds * self.topics.len();
        let mut latencies = Vec::with_capacity(expected);
        self.runtime.block_on(async {
            let mut ticks = interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut publishing = JoinSet::new();
            for topic in self.topics.iter().cycle().take(expected) {
                ticks.tick().await;
                let (api, authorization) = (self.publisher.clone(), Arc::clone(&self.authorization));
                let envelope = load::envelope(topic, herald::clock::now().as_ns(), MESSAGE_BYTES);
                publishing.spawn(async move { api.publish(vec![envelope], &authorization).await });
                while let Some(published) = publishing.try_join_next() {
                    published??;
                }
            }
            while let Some(published) = publishing.join_next().await {
                published??;
            }
            while latencies.len() < expected {
                let next = timeout(PATIENCE, self.taken.recv()).await;
                let next = next.map_err(|_| "a fast reader has not got what was published")?;
                latencies.push(next.ok_or("nobody reads")?);
            }
            Ok::<_, Error>(())
        })?;
        latencies.sort_unstable();
        let slowest = latencies.get(latencies.len() * 99 / 100);
        let nanoseconds = slowest.copied().ok_or("nothing was read")?;
        Ok(Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3)
    }

    fn leave(self) -> Result<(), Error> {
        drop((self.publisher, self.runtime));
        self.node.stop()
    }
}

async fn read(mut stream: Streaming<Envelope>, told: mpsc::Sender<u64>) {
    while let Ok(Some(envelope)) = stream.message().await {
        let took = herald::clock::now().as_ns().saturating_sub(envelope.timestamp_ns);
        if told.send(took).await.is_err() {
            return;
        }
    }
}

const FAST: u32 = 999;
const STREAMS_A_CONNECTION: usize = 100;
/// Between two publishes.
const TICK: Duration = Duration::from_millis(1);
/// Between two reads of the slow one.
const PAUSE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);
/// Seconds, one envelope on each topic: before what is measured, so that the slow one is behind, and those measured in a turn.
const LEAD: usize = 2;
const MEASURED: usize = 10;
const TURNS: usize = 6;
/// The same for memory.
const BEFORE: usize = 5;
const BEHIND: usize = 20;
const MEMORY_ROUNDS: usize = 3;
const MOST_KIB: f64 = 64.0 * 1024.0;
