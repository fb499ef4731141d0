//! A made-up shop: its goods, its customers, and one order after the other.

use std::ops::RangeInclusive;

use common::ids::{Currency, OrderId, UserId};
use common::money::Amount;
use common::order::{Attributes, Delivery, Item, Order, Payment};
use common::time::Timestamp;
use rand::{Rng, RngExt as _};
use rand_distr::{Distribution as _, LogNormal, Zipf};
use uuid::Builder;

use super::config::GenerateConfig;

/// Different goods on sale.
const GOODS: usize = 800;
/// How much more the busiest customers order than the others.
const ZIPF_EXPONENT: f64 = 1.05;
/// One order in so many is in another currency than its customer's usual one.
const ABROAD: u32 = 12;

const ADJECTIVES: [&str; 10] = [
    "Small", "Large", "Red", "Blue", "Walnut", "Steel", "Folding", "Vintage", "Travel", "Ceramic",
];
const NOUNS: [&str; 12] = [
    "Kettle",
    "Lantern",
    "Notebook",
    "Headphones",
    "Backpack",
    "Desk Lamp",
    "Mug",
    "Keyboard",
    "Blanket",
    "Vase",
    "Chair",
    "Water Bottle",
];
const CITIES: [&str; 8] = [
    "Lisbon",
    "Łódź",
    "Zürich",
    "Osaka",
    "Manchester",
    "Porto Alegre",
    "Tromsø",
    "Québec",
];
const PROVIDERS: [&str; 4] = ["wbpay", "stripe", "adyen", "paypal"];

pub(super) struct Shop {
    goods: Vec<Good>,
    customers: Zipf<f64>,
    customer_count: u32,
    currencies: Vec<Currency>,
    basket: LogNormal<f64>,
    items: RangeInclusive<u32>,
    details: f64,
    orders: u64,
    opened: Timestamp,
    open_micros: u64,
}

struct Good {
    sku: String,
    name: String,
    /// In hundredths of a currency that has them.
    price_cents: u64,
}

impl Shop {
    pub(super) fn open(config: &GenerateConfig, rng: &mut impl Rng) -> Self {
        let prices = LogNormal::new(7.3, 0.9).expect("finite parameters");
        let goods =
            (0..GOODS).map(|number| Good::make(number, whole(prices.sample(rng), 50..=2_000_000)));
        let open_micros = config
            .to
            .as_micros()
            .saturating_sub(config.from.as_micros());
        Self {
            goods: goods.collect(),
            customers: Zipf::new(f64::from(config.users), ZIPF_EXPONENT)
                .expect("at least one user"),
            customer_count: config.users,
            currencies: config.currencies.clone(),
            basket: LogNormal::new(1.0, 0.8).expect("finite parameters"),
            items: config.items.clone(),
            details: config.details,
            orders: config.orders,
            opened: config.from,
            open_micros: u64::try_from(open_micros).unwrap_or(0),
        }
    }

    /// The order with this number of all that will be.
    pub(super) fn sell(&mut self, number: u64, rng: &mut impl Rng) -> Order {
        let customer = whole(
            self.customers.sample(rng),
            1..=u64::from(self.customer_count),
        );
        let currency = self.currency(customer, rng);
        let created_at = self.time(number, rng);
        let count = whole(
            self.basket.sample(rng),
            u64::from(*self.items.start())..=u64::from(*self.items.end()),
        );
        let items: Vec<Item> = (0..count).map(|_| self.item(currency, rng)).collect();
        let goods_total = items
            .iter()
            .filter_map(|item| item.total_price)
            .map(Amount::units)
            .sum::<u64>();
        let shipping = if goods_total < 500_000 {
            minor_unit(currency) * 499
        } else {
            0
        };
        let amount = amount(goods_total + shipping);
        let detailed = rng.random_bool(self.details);
        let payment =
            detailed.then(|| payment(number, currency, amount, shipping, created_at, rng));
        Order {
            order_id: Some(order_id(created_at, number, rng)),
            user_id: UserId::parse(&format!("user-{customer:06}")).expect("letters and digits"),
            created_at: Some(created_at),
            currency: Some(currency),
            amount: Some(amount),
            items,
            delivery: detailed.then(|| delivery(customer, rng)),
            payment,
            track_number: detailed.then(|| format!("TRACK{number:09}")),
            attributes: Attributes::default(),
        }
    }

    /// Each customer has a usual currency; the first of the list is that of half of them, and so on.
    fn currency(&self, customer: u64, rng: &mut impl Rng) -> Currency {
        let at_home = !rng.random_ratio(1, ABROAD);
        let halvings = if at_home {
            customer.trailing_zeros()
        } else {
            rng.random::<u32>().trailing_zeros()
        };
        let index = usize::try_from(halvings)
            .unwrap_or(0)
            .min(self.currencies.len() - 1);
        self.currencies[index]
    }

    /// Orders are spread evenly, each somewhere within its own stretch, so that they come in the order of time.
    fn time(&self, number: u64, rng: &mut impl Rng) -> Timestamp {
        let stretch = self.open_micros / self.orders;
        let start = u128::from(self.open_micros) * u128::from(number) / u128::from(self.orders);
        let within = if stretch > 1 {
            rng.random_range(0..stretch)
        } else {
            0
        };
        let micros = u64::try_from(start)
            .unwrap_or(u64::MAX)
            .saturating_add(within);
        // Whole milliseconds, which ids and clocks share.
        let millis = i64::try_from(micros / 1000).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.opened.as_micros() / 1000 + millis).unwrap_or(self.opened)
    }

    fn item(&self, currency: Currency, rng: &mut impl Rng) -> Item {
        let good = &self.goods[rng.random_range(0..self.goods.len())];
        let quantity = 1 + rng.random::<u32>().trailing_zeros().min(11);
        let unit_price = good.price_cents * minor_unit(currency);
        Item {
            sku: Some(good.sku.clone()),
            name: Some(good.name.clone()),
            quantity: i32::try_from(quantity).ok(),
            unit_price: Some(amount(unit_price)),
            total_price: Some(amount(unit_price * u64::from(quantity))),
            attributes: Attributes::default(),
        }
    }
}

impl Good {
    fn make(number: usize, price_cents: u64) -> Self {
        let adjective = ADJECTIVES[number % ADJECTIVES.len()];
        let noun = NOUNS[number / ADJECTIVES.len() % NOUNS.len()];
        let series = number / (ADJECTIVES.len() * NOUNS.len());
        Self {
            sku: format!("SKU-{number:05}"),
            name: format!("{adjective} {noun} No. {}", series + 1),
            price_cents,
        }
    }
}

/// Grows with time, and with the order's number where many fall into one millisecond.
fn order_id(created_at: Timestamp, number: u64, rng: &mut impl Rng) -> OrderId {
    let millis = u64::try_from(created_at.as_micros() / 1000).unwrap_or(0);
    let mut counter_and_chance = [0; 10];
    // The first two bytes lose bits to version and variant; the number fits the next five.
    counter_and_chance[2..7].copy_from_slice(&number.to_be_bytes()[3..]);
    rng.fill(&mut counter_and_chance[7..]);
    OrderId::from_uuid(Builder::from_unix_timestamp_millis(millis, &counter_and_chance).into_uuid())
}

fn delivery(customer: u64, rng: &mut impl Rng) -> Delivery {
    let city = CITIES[rng.random_range(0..CITIES.len())];
    Delivery {
        name: Some(format!("Customer {customer}")),
        phone: Some(format!("+1555{customer:07}")),
        zip: Some(format!("{:05}", rng.random_range(0..100_000_u32))),
        city: Some(city.to_owned()),
        address: Some(format!("{} Market Street", rng.random_range(1..200_u32))),
        email: Some(format!("customer{customer}@example.com")),
        ..Delivery::default()
    }
}

fn payment(
    number: u64,
    currency: Currency,
    paid: Amount,
    shipping: u64,
    created_at: Timestamp,
    rng: &mut impl Rng,
) -> Payment {
    Payment {
        transaction: Some(format!("tx-{number:010}")),
        currency: Some(currency),
        provider: Some(PROVIDERS[rng.random_range(0..PROVIDERS.len())].to_owned()),
        amount: Some(paid),
        payment_dt: Some(created_at.as_micros() / 1_000_000),
        delivery_cost: Some(amount(shipping)),
        goods_total: Some(amount(paid.units() - shipping)),
        ..Payment::default()
    }
}

/// A currency's smallest coin, in ten-thousandths.
fn minor_unit(currency: Currency) -> u64 {
    match currency.as_str() {
        "JPY" | "KRW" | "VND" | "CLP" | "ISK" => 10_000,
        "KWD" | "BHD" | "TND" | "OMR" | "JOD" => 10,
        _ => 100,
    }
}

fn amount(units: u64) -> Amount {
    Amount::from_units(units).expect("a basket is worth far less than the largest amount")
}

/// A drawn number as a whole one within `range`. Draws are chance, not money.
fn whole(drawn: f64, range: RangeInclusive<u64>) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and what it gives is brought into the range"
    )]
    let whole = drawn.round() as u64;
    whole.clamp(*range.start(), *range.end())
}
