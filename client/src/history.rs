//! The history: events of the log, page after page.

use std::{collections::VecDeque, time::SystemTime};

use kuota_api::v1::{self, Event, list_events_request};
use tonic::{Code, Request};

use crate::{
    admin::service,
    call::Effect,
    error::{Error, Failed},
    limits::{EVENT_PAGE_SIZE, EVENT_PAGES_MAX},
    link::Link,
};

/// Which events to list; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Whose history.
    pub subject: Subject,
    /// Only from then on.
    pub from_time: Option<SystemTime>,
    /// Only before then.
    pub to_time: Option<SystemTime>,
}

/// Whose history to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Subject {
    /// Everybody's.
    #[default]
    Everything,
    /// Of one registration, by its id.
    Registration(String),
    /// Of one office.
    Office(String),
    /// Of one actor, as it called itself.
    Actor(String),
}

/// A listing of events, from [`Admin::events`](crate::Admin::events). It asks for pages as they are needed, and goes on
/// over short and empty ones.
///
/// ```no_run
/// # async fn example(admin: kuota_client::Admin) -> Result<(), kuota_client::Error> {
/// use kuota_client::{EventFilter, Subject};
///
/// let subject = Subject::Office("kanim-pontianak".into());
/// let mut events = admin.events(&EventFilter { subject, ..EventFilter::default() });
/// while let Some(event) = events.next().await? {
///     println!("{} {}: {}", event.actor, event.description, event.reason);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Events {
    link: Link,
    /// Of the next page.
    request: v1::ListEventsRequest,
    page: VecDeque<Event>,
    pages: u32,
    is_last: bool,
}

impl Events {
    pub(crate) fn new(link: Link, filter: &EventFilter) -> Self {
        use list_events_request::Subject as Asked;
        let subject = match filter.subject.clone() {
            Subject::Everything => None,
            Subject::Registration(id) => Some(Asked::RegistrationId(id)),
            Subject::Office(id) => Some(Asked::OfficeId(id)),
            Subject::Actor(actor) => Some(Asked::Actor(actor)),
        };
        let request = v1::ListEventsRequest {
            subject,
            from_time: filter.from_time.map(Into::into),
            to_time: filter.to_time.map(Into::into),
            page_size: EVENT_PAGE_SIZE,
            page_token: String::new(),
        };
        Self { link, request, page: VecDeque::new(), pages: 0, is_last: false }
    }

    /// The next event; `None` after the last.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a filter that is not well-formed, or when there is no answer. Ask for the next event again
    /// to go on where it failed.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.page.pop_front() {
                return Ok(Some(event));
            }
            if self.is_last {
                return Ok(None);
            }
            let send = async |channel, request: Request<_>| service(channel).list_events(request).await;
            let page = self.link.call(Effect::Read, &self.request, send).await?;
            let token = page.next_page_token;
            self.pages += 1;
            if !token.is_empty() && (token == self.request.page_token || self.pages >= EVENT_PAGES_MAX) {
                let failed = Failed::bare(Code::OutOfRange, "the server's list has no end".into());
                return Err(Error::Status(Box::new(failed)));
            }
            self.page = page.events.into();
            self.is_last = token.is_empty();
            self.request.page_token = token;
        }
    }
}
