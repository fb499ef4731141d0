//! The HTTP door: who may come in how, and what they are told. What an order is, it asks [`crate::request`]; what became
//! of it, [`crate::publisher`].

mod batch;
mod body;
mod content;
mod docs;
mod door;
mod orders;
mod records;
mod verdict;

use actix_web::web;
use common::http::named;

pub use door::Door;

/// One order; the aliases are what existing clients send to.
const ORDER_PATHS: [&str; 3] = ["/orders", "/order", "/api/orders"];
const BATCH_PATH: &str = "/orders/batch";

/// The routes, for every worker of a server.
pub fn routes(door: Door) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static {
    let (door, docs) = (web::Data::new(door), docs::docs());
    move |config: &mut web::ServiceConfig| {
        config.app_data(door.clone());
        for path in ORDER_PATHS {
            config.service(named(path).route(web::post().to(orders::accept)));
        }
        config.service(named(BATCH_PATH).route(web::post().to(batch::accept)));
        docs.routes(config);
    }
}
