//! Single orders, many by one statement: whoever asks while statements are under way is answered by the next one, together
//! with all who wait. A lone question waits for nobody, and a flood of them, of ids that nobody has ever seen as well, costs the
//! database few statements and never the last connection of several, which lists need.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::ids::OrderId;
use common::order::Order;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::connections::Connections;
use super::{ORDERS_BY_ID, RepoError, rows};

/// By one statement. More save little, and each of the largest orders takes megabytes until it is sent.
const AT_ONCE: usize = 32;

type Answer = Result<Option<Order>, RepoError>;

/// One who waits for an order.
#[derive(Debug)]
struct Question {
    order_id: OrderId,
    /// Set when a statement takes it along: from then on it is answered within that statement's time.
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
        // Unanswered, where the runtime is going down.
        answer.unwrap_or(Err(RepoError::Crowded))
    }
}

async fn answer(connections: Connections, asked: Arc<Mutex<mpsc::Receiver<Question>>>) {
    let mut questions = Vec::with_capacity(AT_ONCE);
    while asked.lock().await.recv_many(&mut questions, AT_ONCE).await > 0 {
        let mut askers: HashMap<OrderId, Vec<oneshot::Sender<Answer>>> = HashMap::new();
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
        if !askers.is_empty() {
            answer_all(&connections, askers).await;
        }
    }
}

/// An order that cannot be read is nobody's trouble but theirs who asked for it.
async fn answer_all(
    connections: &Connections,
    mut askers: HashMap<OrderId, Vec<oneshot::Sender<Answer>>>,
) {
    let asked_alone = askers.len() == 1;
    match look_up(connections, &mut askers).await {
        Ok(()) => askers
            .into_values()
            .for_each(|askers| tell(askers, &Ok(None))),
        Err(RepoError::Corrupt(_)) if !asked_alone => {
            for (order_id, of_order) in askers {
                let mut alone = HashMap::from([(order_id, of_order)]);
                let answer = look_up(connections, &mut alone).await.map(|()| None);
                alone.into_values().for_each(|askers| tell(askers, &answer));
            }
        }
        Err(error) => {
            let answer = Err(error);
            askers
                .into_values()
                .for_each(|askers| tell(askers, &answer));
        }
    }
}

/// Tells everyone whose order is there, and takes them out of `askers`.
async fn look_up(
    connections: &Connections,
    askers: &mut HashMap<OrderId, Vec<oneshot::Sender<Answer>>>,
) -> Result<(), RepoError> {
    let ids: Vec<String> = askers.keys().map(|id| id.as_str().to_owned()).collect();
    connections
        .each(ORDERS_BY_ID, &[&ids], |row| {
            let order = rows::order(row)?.order;
            let asked = order.order_id.as_ref();
            if let Some(askers) = asked.and_then(|order_id| askers.remove(order_id)) {
                tell(askers, &Ok(Some(order)));
            }
            Ok(ControlFlow::Continue(()))
        })
        .await
}

fn tell(askers: Vec<oneshot::Sender<Answer>>, answer: &Answer) {
    for asker in askers {
        // Who has gone away meanwhile is not told.
        drop(asker.send(answer.clone()));
    }
}
