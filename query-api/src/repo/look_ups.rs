//! Single orders, many by one statement: whoever asks while statements are under way is answered by the next one, together
//! with all who wait. A lone question waits for nobody, and a flood of them, of ids that nobody has ever seen as well, costs the
//! database few statements and never the last connection of several, which lists need.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::ids::OrderId;
use common::order::Order;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_postgres::Row;

use super::connections::Connections;
use super::orders::{ORDER_BY_ID, ORDERS_BY_ID};
use super::{LOOK_UP_TIMEOUT, RepoError, rows};

/// By one statement. More save little, each of the largest orders takes a megabyte until it is JSON, and all of them have one
/// statement's time.
const AT_ONCE: usize = 16;

/// No statement begins any more for those who are looked up one by one after so long: a worker is not held up for sixteen times
/// as long as a statement may take.
const ALONE_FOR: Duration = LOOK_UP_TIMEOUT;

type Answer = Result<Option<Order>, RepoError>;

/// One who waits for an order.
#[derive(Debug)]
struct Question {
    order_id: OrderId,
    /// Set when a statement takes it along: that has its own bound, and those that may follow it have [`ALONE_FOR`].
    taken: Arc<AtomicBool>,
    answer: oneshot::Sender<Answer>,
}

/// Asks for orders; its statements end when the last clone has gone.
#[derive(Debug, Clone)]
pub(super) struct LookUps {
    questions: mpsc::Sender<Question>,
    patience: Duration,
}

impl LookUps {
    /// `statements` at once, and `patience` until one of them takes a question along. To be called within a tokio runtime.
    pub(super) fn start(connections: &Connections, statements: usize, patience: Duration) -> Self {
        let (questions, asked) = mpsc::channel(connections.max_waiting());
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..statements {
            tokio::spawn(answer(connections.clone(), Arc::clone(&asked)));
        }
        Self {
            questions,
            patience,
        }
    }

    /// What is committed when this is called is seen.
    pub(super) async fn order(&self, order_id: &OrderId) -> Answer {
        let (answer, mut answered) = oneshot::channel();
        let taken = Arc::new(AtomicBool::new(false));
        let question = Question {
            order_id: order_id.clone(),
            taken: Arc::clone(&taken),
            answer,
        };
        let asked = self.questions.try_send(question);
        asked.map_err(|_| RepoError::Crowded)?;
        let answer = match tokio::time::timeout(self.patience, &mut answered).await {
            Ok(answer) => answer,
            Err(_) if taken.load(Ordering::Acquire) => answered.await,
            Err(_) => return Err(RepoError::Crowded),
        };
        // Unanswered, where the task that would have is gone.
        answer.unwrap_or(Err(RepoError::Crowded))
    }
}

/// Those who wait, by what they wait for.
type Askers = HashMap<OrderId, Vec<oneshot::Sender<Answer>>>;

async fn answer(connections: Connections, asked: Arc<Mutex<mpsc::Receiver<Question>>>) {
    let mut questions = Vec::with_capacity(AT_ONCE);
    while asked.lock().await.recv_many(&mut questions, AT_ONCE).await > 0 {
        let mut askers = Askers::new();
        // Who has gone away need not be answered.
        for question in questions
            .drain(..)
            .filter(|asked| !asked.answer.is_closed())
        {
            question.taken.store(true, Ordering::Release);
            askers
                .entry(question.order_id)
                .or_default()
                .push(question.answer);
        }
        let connections = connections.clone();
        let answered = tokio::spawn(async move { answer_all(&connections, askers).await }).await;
        if let Err(error) = answered {
            // Those who waited are told; this task goes on.
            tracing::error!(%error, "a look-up of orders ended early");
        }
    }
}

/// An order that cannot be read is nobody's trouble but theirs who asked for it.
async fn answer_all(connections: &Connections, mut askers: Askers) {
    let asked_alone = askers.len() <= 1;
    match look_up(connections, &mut askers).await {
        Ok(()) => tell_all(askers, &Ok(None)),
        Err(error) if !asked_alone && is_of_one_order(&error) => {
            each_alone(connections, askers).await;
        }
        Err(error) => tell_all(askers, &Err(error)),
    }
}

/// Until the database has another trouble, which is everyone's, or has taken too long.
async fn each_alone(connections: &Connections, mut askers: Askers) {
    let began = Instant::now();
    askers.retain(|_, of_order| of_order.iter().any(|asker| !asker.is_closed()));
    let mut askers = askers.into_iter();
    while let Some(of_order) = askers.next() {
        let mut alone = Askers::from([of_order]);
        if began.elapsed() > ALONE_FOR {
            alone.extend(askers);
            return tell_all(alone, &Err(RepoError::Silent(ALONE_FOR)));
        }
        let answer = look_up(connections, &mut alone).await.map(|()| None);
        tell_all(alone, &answer);
        if let Err(error) = answer
            && !is_of_one_order(&error)
        {
            return tell_all(askers.collect(), &Err(error));
        }
    }
}

/// What cannot be decoded, and where PostgreSQL meets a value or a page that is damaged (classes 22, 58 and XX).
fn is_of_one_order(error: &RepoError) -> bool {
    match error {
        RepoError::Corrupt(_) => true,
        RepoError::Unavailable(cause) => cause
            .downcast_ref::<tokio_postgres::Error>()
            .and_then(tokio_postgres::Error::code)
            .is_some_and(|state| {
                let of_class = |class| state.code().starts_with(class);
                ["22", "58", "XX"].into_iter().any(of_class)
            }),
        RepoError::Silent(_) | RepoError::Crowded => false,
    }
}

/// Tells everyone whose order is there, and takes them out of `askers`.
async fn look_up(connections: &Connections, askers: &mut Askers) -> Result<(), RepoError> {
    let ids: Vec<String> = askers.keys().map(|id| id.as_str().to_owned()).collect();
    let take = |row: &Row| {
        let order = rows::order(row)?.order;
        let asked = order.order_id.as_ref();
        if let Some(askers) = asked.and_then(|order_id| askers.remove(order_id)) {
            tell(askers, Ok(Some(order)));
        }
        Ok(ControlFlow::Continue(()))
    };
    match ids.as_slice() {
        [] => Ok(()),
        // With an array PostgreSQL would make its plan anew each time.
        [id] => connections.each(ORDER_BY_ID, &[id], take).await,
        _ => connections.each(ORDERS_BY_ID, &[&ids], take).await,
    }
}

fn tell_all(askers: Askers, answer: &Answer) {
    for askers in askers.into_values() {
        tell(askers, answer.clone());
    }
}

/// Nearly always there is one: who asks for the same at once shares a load.
fn tell(mut askers: Vec<oneshot::Sender<Answer>>, answer: Answer) {
    let last = askers.pop();
    // Who has gone away meanwhile is not told.
    for asker in askers {
        drop(asker.send(answer.clone()));
    }
    if let Some(last) = last {
        drop(last.send(answer));
    }
}
