//! The postcode areas of the United Kingdom and the islands around it, each with a place in its middle.
//!
//! A tenth of a degree is some ten kilometres, which is finer than a forecast of the warmest hour needs.

use crate::clients::forecast::Place;

/// Area, latitude and longitude in tenths of a degree; in the order of the alphabet.
const AREAS: [(&str, i16, i16); 124] = [
    ("AB", 572, -24),
    ("AL", 518, -3),
    ("B", 525, -19),
    ("BA", 513, -24),
    ("BB", 538, -24),
    ("BD", 538, -18),
    ("BH", 508, -19),
    ("BL", 536, -24),
    ("BN", 509, -1),
    ("BR", 514, 0),
    ("BS", 514, -26),
    ("BT", 546, -62),
    ("CA", 547, -31),
    ("CB", 522, 2),
    ("CF", 516, -33),
    ("CH", 532, -30),
    ("CM", 517, 5),
    ("CO", 519, 9),
    ("CR", 514, -1),
    ("CT", 513, 12),
    ("CV", 524, -15),
    ("CW", 532, -25),
    ("DA", 514, 2),
    ("DD", 566, -29),
    ("DE", 530, -16),
    ("DG", 550, -38),
    ("DH", 548, -16),
    ("DL", 545, -17),
    ("DN", 535, -8),
    ("DT", 507, -24),
    ("DY", 524, -22),
    ("E", 515, 0),
    ("EC", 515, -1),
    ("EH", 559, -32),
    ("EN", 517, -1),
    ("EX", 508, -37),
    ("FK", 561, -39),
    ("FY", 538, -30),
    ("G", 559, -43),
    ("GL", 518, -21),
    ("GU", 512, -7),
    ("GY", 495, -26),
    ("HA", 516, -3),
    ("HD", 536, -18),
    ("HG", 541, -15),
    ("HP", 517, -7),
    ("HR", 521, -28),
    ("HS", 578, -70),
    ("HU", 538, -3),
    ("HX", 537, -19),
    ("IG", 516, 1),
    ("IM", 542, -45),
    ("IP", 522, 11),
    ("IV", 576, -48),
    ("JE", 492, -21),
    ("KA", 556, -46),
    ("KT", 514, -3),
    ("KW", 586, -33),
    ("KY", 562, -31),
    ("L", 534, -29),
    ("LA", 541, -28),
    ("LD", 522, -34),
    ("LE", 526, -11),
    ("LL", 531, -38),
    ("LN", 532, -4),
    ("LS", 538, -15),
    ("LU", 519, -4),
    ("M", 535, -22),
    ("ME", 514, 6),
    ("MK", 521, -7),
    ("ML", 558, -39),
    ("N", 516, -1),
    ("NE", 551, -17),
    ("NG", 530, -11),
    ("NN", 523, -9),
    ("NP", 517, -30),
    ("NR", 527, 13),
    ("NW", 516, -2),
    ("OL", 536, -21),
    ("OX", 518, -13),
    ("PA", 559, -52),
    ("PE", 526, -1),
    ("PH", 566, -40),
    ("PL", 504, -43),
    ("PO", 508, -10),
    ("PR", 537, -27),
    ("RG", 514, -11),
    ("RH", 511, -2),
    ("RM", 516, 2),
    ("S", 534, -14),
    ("SA", 518, -43),
    ("SE", 515, 0),
    ("SG", 519, -2),
    ("SK", 533, -21),
    ("SL", 515, -6),
    ("SM", 514, -2),
    ("SN", 515, -19),
    ("SO", 510, -14),
    ("SP", 511, -18),
    ("SR", 549, -14),
    ("SS", 516, 7),
    ("ST", 530, -21),
    ("SW", 515, -2),
    ("SY", 526, -30),
    ("TA", 510, -32),
    ("TD", 556, -25),
    ("TF", 527, -25),
    ("TN", 511, 4),
    ("TQ", 504, -36),
    ("TR", 502, -52),
    ("TS", 546, -12),
    ("TW", 514, -4),
    ("UB", 515, -4),
    ("W", 515, -2),
    ("WA", 534, -26),
    ("WC", 515, -1),
    ("WD", 517, -4),
    ("WF", 537, -15),
    ("WN", 535, -26),
    ("WR", 522, -22),
    ("WS", 527, -19),
    ("WV", 526, -22),
    ("YO", 540, -9),
    ("ZE", 603, -12),
];

/// The middle of a postcode area; none when there is no such area.
pub fn place(area: &str) -> Option<Place> {
    let found = AREAS.binary_search_by_key(&area, |(name, ..)| name).ok()?;
    let (_, latitude, longitude) = AREAS[found];
    Some(Place { latitude, longitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_area_is_found_and_lies_in_the_isles() {
        for (name, ..) in AREAS {
            let place = place(name).unwrap_or_else(|| panic!("{name}: the list is not in order"));
            assert!((492..=604).contains(&place.latitude) && (-70..=13).contains(&place.longitude), "{name}: {place:?}");
        }
        assert_eq!(place("SW"), Some(Place { latitude: 515, longitude: -2 }));
        assert_eq!([place("XX"), place(""), place("sw")], [None; 3]);
    }
}
