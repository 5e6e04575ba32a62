//! From a query as it stands on the wire to a page of the store, and back.

use std::collections::HashSet;

use herald_protocol::{
    limits,
    proto::api::{
        Cursor, Envelope, IndexCursor, PagingInfo, QueryRequest, QueryResponse, SortDirection, cursor,
    },
    topic::{self, TopicKind},
};

use crate::store::{Direction, Page, PageRequest, Position};

/// Why a query or a subscription is refused; the texts are those of the V2 network where it had one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("content topics required")]
    TopicsRequired,
    #[error("too many topics")]
    TooManyTopics,
    // Also when 500 are allowed, as clients know the text.
    #[error("cannot exceed {} rows per query", PAGE_ROWS)]
    TooManyRows,
    #[error("invalid cursor")]
    InvalidCursor,
    #[error("cannot exceed {} requests in single batch", limits::BATCH_QUERIES)]
    BatchTooLarge,
}

/// A query that may be asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) request: PageRequest,
    pub(super) paging: Paging,
}

/// What the answer repeats of the question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paging {
    limit: u32,
    direction: Direction,
}

impl Question {
    pub(super) fn check(query: QueryRequest) -> Result<Self, Refusal> {
        if query.content_topics.is_empty() {
            return Err(Refusal::TopicsRequired);
        }
        check_topic_count(&query.content_topics)?;
        let paging = query.paging_info.unwrap_or_default();
        let direction = if paging.direction() == SortDirection::Ascending {
            Direction::Ascending
        } else {
            Direction::Descending
        };
        let most = match query.content_topics.as_slice() {
            // Consent lists are long.
            [name] if topic::kind(name) == TopicKind::UserPreferences => PREFERENCES_PAGE_ROWS,
            _ => PAGE_ROWS,
        };
        let rows = match paging.limit {
            0 => PAGE_ROWS,
            rows if rows > most => return Err(Refusal::TooManyRows),
            rows => rows,
        };
        let request = PageRequest {
            topics: distinct(query.content_topics),
            start_ns: query.start_time_ns.try_into().unwrap_or(i64::MAX),
            end_ns: match query.end_time_ns {
                0 => i64::MAX,
                end => end.try_into().unwrap_or(i64::MAX),
            },
            direction,
            limit: rows as usize,
            after: paging.cursor.map(position).transpose()?,
        };
        Ok(Self {
            request,
            paging: Paging {
                limit: rows.min(PAGE_ROWS),
                direction,
            },
        })
    }
}

pub(super) fn check_topic_count(topics: &[String]) -> Result<(), Refusal> {
    if topics.len() > limits::SUBSCRIBE_TOPICS {
        Err(Refusal::TooManyTopics)
    } else {
        Ok(())
    }
}

/// A page that may have a successor carries its last row's place; one that has none carries neither limit nor cursor.
pub(super) fn answer(page: Page, paging: Paging) -> QueryResponse {
    let last = page.rows.last().filter(|_| page.more).map(|row| row.position);
    let direction = match paging.direction {
        Direction::Ascending => SortDirection::Ascending,
        Direction::Descending => SortDirection::Descending,
    };
    let envelopes = page.rows.into_iter().map(|row| Envelope {
        content_topic: row.topic,
        timestamp_ns: row.position.timestamp_ns.unsigned_abs(),
        message: row.message,
    });
    QueryResponse {
        envelopes: envelopes.collect(),
        paging_info: Some(PagingInfo {
            limit: if last.is_some() { paging.limit } else { 0 },
            cursor: last.map(cursor_at),
            direction: direction.into(),
        }),
    }
}

pub(super) fn position(cursor: Cursor) -> Result<Position, Refusal> {
    let Some(cursor::Cursor::Index(index)) = cursor.cursor else {
        return Err(Refusal::InvalidCursor);
    };
    Ok(Position {
        timestamp_ns: index
            .sender_time_ns
            .try_into()
            .map_err(|_| Refusal::InvalidCursor)?,
        digest: place(&index.digest).ok_or(Refusal::InvalidCursor)?,
    })
}

/// A cursor names a place and needs no row: a digest that is too short stands before all that begin with it.
fn place(digest: &[u8]) -> Option<[u8; 32]> {
    let mut place = [0; 32];
    place.get_mut(..digest.len())?.copy_from_slice(digest);
    (!digest.is_empty()).then_some(place)
}

fn cursor_at(position: Position) -> Cursor {
    let index = IndexCursor {
        digest: position.digest.to_vec(),
        sender_time_ns: position.timestamp_ns.unsigned_abs(),
    };
    Cursor {
        cursor: Some(cursor::Cursor::Index(index)),
    }
}

/// A topic named twice is read once.
fn distinct(topics: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::with_capacity(topics.len());
    topics
        .into_iter()
        .filter(|topic| seen.insert(topic.clone()))
        .collect()
}

#[expect(clippy::cast_possible_truncation, reason = "100")]
const PAGE_ROWS: u32 = limits::PAGE_ENVELOPES as u32;
#[expect(clippy::cast_possible_truncation, reason = "500")]
const PREFERENCES_PAGE_ROWS: u32 = limits::PREFERENCES_PAGE_ENVELOPES as u32;
