//! Packing: instructions, their days, what packers say afterwards.

mod calendar;
mod checks;
mod instructions;
mod outage;
mod plan;

use std::time::Duration;

use chrono::NaiveDate;
use engine::{Client, Kinds, NewJob};
use jobs::clients::{self, Secret, forecast};
use jobs::packing::PlanPackDay;
use sandbox::forecast::{Forecast, Options};
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::orders::inbox::row;
use crate::support::{
    Database, Outside, clock, outside, run_all,
    shelf::{Batch, allocate, order, product},
};

const KEY: &str = "forecast-key";

/// A packing room on a morning in London, beside a weather service and a Slack that takes alerts.
pub struct Room {
    pub db: Database,
    pub forecast: Forecast,
    pub outside: Outside,
    _stop: DropGuard,
}

impl Room {
    /// The room at five in the morning, by UTC, of a day.
    pub async fn on(day: &str) -> Self {
        let stop = CancellationToken::new();
        let forecast = Forecast::start(Options::new(Some(KEY)), stop.clone()).await.expect("a sandbox");
        let room = Self { db: Database::new().await, forecast, outside: Outside::start().await, _stop: stop.drop_guard() };
        clock::own(room.db.pool()).await;
        room.sleep_until(day).await;
        room
    }

    /// Lets it be five in the morning of another day.
    pub async fn sleep_until(&self, day: &str) {
        clock::set(self.db.pool(), format!("{day}T05:00:00Z").parse().expect("a moment")).await;
    }

    pub fn pool(&self) -> &PgPool {
        self.db.pool()
    }

    pub fn settings(&self) -> clients::Settings {
        let forecast = forecast::Settings {
            key: Some(Secret::new(KEY)),
            url: Some(self.forecast.url().into()),
            timeout: Some(Duration::from_millis(300)),
            pause: Some(Duration::from_millis(1)),
        };
        clients::Settings { forecast, ..self.outside.settings() }
    }

    pub fn kinds(&self) -> Kinds {
        outside::with(&self.settings())
    }

    /// Runs the plan of today and all that follows; what it said.
    pub async fn plan(&self) -> Value {
        self.plan_with(None, self.kinds()).await
    }

    pub async fn plan_with(&self, pack_day: Option<NaiveDate>, kinds: Kinds) -> Value {
        let job = NewJob::of(&PlanPackDay { pack_day }).expect("the arguments are JSON");
        let id = Client::new(self.pool().clone()).enqueue(&job).await.expect("the queue takes the job").id;
        run_all(&self.db, kinds).await;
        row(self.pool(), &format!("select output from engine.job_state where id = {id}")).await["output"].take()
    }

    /// A product of half a kilogram of which there is enough.
    pub async fn stocked(&self) -> Uuid {
        let beef = product(self.pool(), "BEEF").await;
        Batch::of(1_000, 90).put(self.pool(), "PR-1", beef).await;
        beef
    }

    /// An order for so many units that has its stock and goes to this postcode.
    pub async fn allocated(&self, product: Uuid, units: i32, postcode: &str) -> Uuid {
        let order = order(self.pool(), &[(product, units)]).await;
        sqlx::query("update raw_ops.orders set ship_postcode = $2, ship_country = 'GB' where id = $1")
            .bind(order)
            .bind(postcode)
            .execute(self.pool())
            .await
            .expect("the order is there");
        assert_eq!(allocate(self.pool(), order).await.0, "allocated");
        order
    }

    /// Some columns of an order's instruction.
    pub async fn instruction(&self, order: Uuid, columns: &str) -> Value {
        row(self.pool(), &format!("select {columns} from raw_ops.packing_instructions where order_id = '{order}'")).await
    }

    /// What keeps an order from being packed; null when nothing does.
    pub async fn held(&self, order: Uuid) -> Value {
        let query = format!(
            "select (select issue_description from raw_ops.exceptions_queue
                     where order_id = '{order}' and issue_type = 'cannot_be_packed' and not resolved) as why"
        );
        row(self.pool(), &query).await["why"].take()
    }
}

pub fn day(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}
