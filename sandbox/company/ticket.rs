//! What customers write about, and how long they wait for an answer.

use chrono::{DateTime, Duration, Utc};
use rand::RngExt;

use super::draws::{Draws, Theme};
use super::placed::{Fate, Placed};

/// A thing to write about.
#[derive(Debug)]
pub struct Topic {
    /// The agent's category.
    pub category: &'static str,
    /// First line.
    pub subject: &'static str,
    /// What the customer says.
    pub body: &'static str,
    /// What we answer.
    pub reply: &'static str,
    /// What is done.
    pub action: Action,
    /// The knowledge that the answer is made of.
    pub section: &'static str,
}

/// What is done about a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// An answer is enough.
    Answer,
    /// Credit for the next order.
    Credit,
    /// Money back, for a part of the order.
    Refund,
    /// The food is sent again.
    Replacement,
    /// A new address.
    Address,
    /// Asked whether it may be quoted.
    Testimonial,
}

/// Every topic.
pub const TOPICS: [Topic; 7] = [
    Topic {
        category: "delivery",
        subject: "Where is my box?",
        body: "The tracking says there was a problem and my box is not here. Will the food still be frozen when it comes?",
        reply: "I am sorry about the delay. The box is packed to stay frozen for 48 hours. Please check it on arrival; I have added £5 to your account for the trouble.",
        action: Action::Credit,
        section: "delivery",
    },
    Topic {
        category: "delivery",
        subject: "Box arrived damaged",
        body: "One corner of the box was crushed and two of the pouches had burst. The rest is fine.",
        reply: "Thank you for the photo. We are sending the two pouches again with your next delivery.",
        action: Action::Replacement,
        section: "replacements",
    },
    Topic {
        category: "quality",
        subject: "Smell of the tripe",
        body: "The last batch smells stronger than usual. The date is fine. Is it safe to feed?",
        reply: "Green tripe varies from batch to batch, and the laboratory passed this one: the code on your pouch leads to its results. As you would rather not feed it, we have refunded it.",
        action: Action::Refund,
        section: "food-safety",
    },
    Topic {
        category: "feeding",
        subject: "How much should I feed?",
        body: "She is five months old and 11 kg now. Do I go by the weight she has or the weight she will have?",
        reply: "By her weight now, with the factor for puppies: the calculator does both. Weigh her every two weeks and adjust. This is a guide; your vet knows her best.",
        action: Action::Answer,
        section: "feeding-puppies",
    },
    Topic {
        category: "account",
        subject: "We are moving house",
        body: "We move at the end of the month. Can the next box go to the new address?",
        reply: "Done: your subscription and your account have the new address from now on.",
        action: Action::Address,
        section: "account",
    },
    Topic {
        category: "billing",
        subject: "Charged on the wrong day?",
        body: "I thought my box was due next week, but my card was charged today.",
        reply: "Your plan bills some days before the delivery. You can move or skip a delivery in the portal until 48 hours before.",
        action: Action::Answer,
        section: "subscriptions",
    },
    Topic {
        category: "feedback",
        subject: "A thank you",
        body: "Just to say that he has never eaten so well. His coat shines and he waits at the freezer door every morning.",
        reply: "That made our day, thank you. May we quote you?",
        action: Action::Testimonial,
        section: "general",
    },
];

/// Credit for a late box, in pence.
pub const GOODWILL: i64 = 500;

/// A conversation about an order.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    /// Its place in [`TOPICS`].
    pub topic: usize,
    /// When the customer wrote.
    pub opened: DateTime<Utc>,
    /// When we answered.
    pub answered: DateTime<Utc>,
    /// When it was put away.
    pub resolved: DateTime<Utc>,
    /// Whether a person had to take it over.
    pub is_escalated: bool,
    /// Stars out of five, if the customer said.
    pub stars: Option<u8>,
}

impl Ticket {
    /// The ticket about an order, if there is one. Follows from the order.
    pub fn about(draws: Draws, order: &Placed) -> Option<Self> {
        let journey = order.journey()?;
        let mut random = draws.stream(Theme::Ticket, order.number);
        let (topic, opened) = if let Some((_, at)) = journey.trouble {
            random.random_bool(0.45).then(|| (0, at + Duration::minutes(random.random_range(15..300))))?
        } else if matches!(order.fate, Fate::Refunded(_)) {
            (2, journey.arrived + Duration::hours(random.random_range(1..30)))
        } else {
            let after = journey.arrived + Duration::minutes(random.random_range(20..5_000));
            match random.random_range(0..1_000) {
                0..=5 => (1, after),
                6..=9 => (2, after),
                10..=18 => (3, after),
                19..=23 => (4, after),
                24..=27 => (5, order.at + Duration::minutes(random.random_range(10..600))),
                28..=33 => (6, after),
                _ => return None,
            }
        };
        let is_escalated = topic == 2 || random.random_bool(0.1);
        let answered = opened + Duration::minutes(random.random_range(25..1_300));
        let resolved = answered + Duration::minutes(random.random_range(5..3_000));
        let stars = random.random_bool(0.35).then(|| if topic == 0 { random.random_range(2..6) } else { random.random_range(4..6) });
        Some(Self { topic, opened, answered, resolved, is_escalated, stars })
    }

    /// What it is about.
    pub const fn about_what(&self) -> &'static Topic {
        &TOPICS[self.topic]
    }
}
