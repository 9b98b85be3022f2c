//! What the support agent knows: key, title and text of each section.

/// Every section.
pub const SECTIONS: [(&str, &str, &str); 8] = [
    ("tone", "Tone", "Warm, short, plain. Say what we do, then what the customer can do. Never give advice that belongs to a vet."),
    (
        "delivery",
        "Delivery",
        "Boxes leave on working days and arrive the next day, never on a Sunday or a bank holiday. They are packed to stay frozen for 48 hours.",
    ),
    (
        "replacements",
        "Damaged boxes",
        "Ask for a photo. Burst pouches are sent again with the next delivery, or at once when more than a third is damaged.",
    ),
    (
        "food-safety",
        "Food safety",
        "Every batch is tested before it is sold: five samples, no Salmonella in 25 g. The code on the pouch leads to the results.",
    ),
    (
        "feeding-puppies",
        "Feeding puppies",
        "By their weight now, with the factor for growth. Weigh every two weeks. The calculator does both.",
    ),
    ("account", "Account", "Name, address and card are changed in the portal. A new address counts for every box that is not packed yet."),
    (
        "subscriptions",
        "Subscriptions",
        "A delivery can be moved or skipped until 48 hours before it is billed. Pausing and cancelling need no reason.",
    ),
    ("general", "Who we are", "We make complete raw food for dogs in small batches and publish the laboratory's results of each."),
];
