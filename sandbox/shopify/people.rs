//! Customers and where they live: invented people in real places.

use rand::RngExt;
use rand::rngs::StdRng;

/// Someone who orders.
#[derive(Debug, Clone)]
pub struct Person {
    /// First name.
    pub first: &'static str,
    /// Last name.
    pub last: &'static str,
    /// Address for mail, of a domain that is nobody's.
    pub email: String,
    /// Telephone, of the range that is kept free for fiction.
    pub phone: Option<String>,
    /// Where the boxes go.
    pub address: Address,
}

/// A place to deliver to.
#[derive(Debug, Clone)]
pub struct Address {
    /// House and street.
    pub line1: String,
    /// Flat, if any.
    pub line2: Option<String>,
    /// Town.
    pub city: &'static str,
    /// Nation, as Shopify's `province`.
    pub province: &'static str,
    /// Shopify's `province_code`.
    pub province_code: &'static str,
    /// Postcode.
    pub zip: String,
}

/// Names beside their spelling in an address for mail.
const FIRST: [(&str, &str); 60] = [
    ("Siân", "sian"),
    ("Zoë", "zoe"),
    ("Łukasz", "lukasz"),
    ("Aoife", "aoife"),
    ("Niamh", "niamh"),
    ("Renée", "renee"),
    ("José", "jose"),
    ("Håkon", "hakon"),
    ("Priya", "priya"),
    ("Oluwaseun", "oluwaseun"),
    ("Mei-Ling", "mei-ling"),
    ("Mohammed", "mohammed"),
    ("Catrin", "catrin"),
    ("Hamish", "hamish"),
    ("Eilidh", "eilidh"),
    ("Jürgen", "jurgen"),
    ("Charlotte", "charlotte"),
    ("Oliver", "oliver"),
    ("Grace", "grace"),
    ("Harry", "harry"),
    ("Amelia", "amelia"),
    ("Jack", "jack"),
    ("Freya", "freya"),
    ("Božena", "bozena"),
    ("Emily", "emily"),
    ("George", "george"),
    ("Isla", "isla"),
    ("Noah", "noah"),
    ("Poppy", "poppy"),
    ("Leo", "leo"),
    ("Evie", "evie"),
    ("Arthur", "arthur"),
    ("Ruby", "ruby"),
    ("Callum", "callum"),
    ("Megan", "megan"),
    ("Rhys", "rhys"),
    ("Fiona", "fiona"),
    ("Angus", "angus"),
    ("Orla", "orla"),
    ("Declan", "declan"),
    ("Aisha", "aisha"),
    ("Imran", "imran"),
    ("Deepa", "deepa"),
    ("Kwame", "kwame"),
    ("Agnieszka", "agnieszka"),
    ("Tomasz", "tomasz"),
    ("Beatriz", "beatriz"),
    ("Yusuf", "yusuf"),
    ("Linh", "linh"),
    ("Margaret", "margaret"),
    ("Keith", "keith"),
    ("Susan", "susan"),
    ("Nigel", "nigel"),
    ("Dawn", "dawn"),
    ("Ravi", "ravi"),
    ("Ines", "ines"),
    ("Hannah", "hannah"),
    ("Daniel", "daniel"),
    ("Laura", "laura"),
    ("Sam", "sam"),
];

const LAST: [(&str, &str); 60] = [
    ("O’Brien", "obrien"),
    ("O'Neill", "oneill"),
    ("Wiśniewski", "wisniewski"),
    ("Llewellyn-Jones", "llewellyn-jones"),
    ("MacDonald", "macdonald"),
    ("Ní Dhomhnaill", "nidhomhnaill"),
    ("Müller", "muller"),
    ("García Márquez", "garcia"),
    ("Patel", "patel"),
    ("Adeyemi", "adeyemi"),
    ("Nguyễn", "nguyen"),
    ("Khan", "khan"),
    ("Smith", "smith"),
    ("Brontë", "bronte"),
    ("Featherstonehaugh", "featherstonehaugh"),
    ("St. John", "stjohn"),
    ("Jones", "jones"),
    ("Taylor", "taylor"),
    ("Evans", "evans"),
    ("Thomas", "thomas"),
    ("Åström", "astrom"),
    ("d’Arcy", "darcy"),
    ("Žižka", "zizka"),
    ("Lee", "lee"),
    ("Williams", "williams"),
    ("Brown", "brown"),
    ("Davies", "davies"),
    ("Wilson", "wilson"),
    ("Roberts", "roberts"),
    ("Walker", "walker"),
    ("Wright", "wright"),
    ("Robinson", "robinson"),
    ("Thompson", "thompson"),
    ("Hughes", "hughes"),
    ("Edwards", "edwards"),
    ("Green", "green"),
    ("Hall", "hall"),
    ("Wood", "wood"),
    ("Clarke", "clarke"),
    ("Campbell", "campbell"),
    ("Stewart", "stewart"),
    ("Murray", "murray"),
    ("Fraser", "fraser"),
    ("Kelly", "kelly"),
    ("Doherty", "doherty"),
    ("Ahmed", "ahmed"),
    ("Hussain", "hussain"),
    ("Singh", "singh"),
    ("Kaur", "kaur"),
    ("Okafor", "okafor"),
    ("Mensah", "mensah"),
    ("Kowalczyk", "kowalczyk"),
    ("Silva", "silva"),
    ("Chen", "chen"),
    ("Tran", "tran"),
    ("Pritchard", "pritchard"),
    ("Whitaker", "whitaker"),
    ("Ashworth", "ashworth"),
    ("Penhaligon", "penhaligon"),
    ("Sutcliffe", "sutcliffe"),
];

/// Town, postcode area and district, nation and its code.
const TOWNS: [(&str, &str, &str, &str); 66] = [
    ("London", "SW11", "England", "ENG"),
    ("London", "E8", "England", "ENG"),
    ("Brighton", "BN1", "England", "ENG"),
    ("Portsmouth", "PO1", "England", "ENG"),
    ("Bognor Regis", "PO22", "England", "ENG"),
    ("Bristol", "BS6", "England", "ENG"),
    ("Leeds", "LS6", "England", "ENG"),
    ("Manchester", "M20", "England", "ENG"),
    ("Newcastle upon Tyne", "NE2", "England", "ENG"),
    ("Norwich", "NR2", "England", "ENG"),
    ("Penzance", "TR18", "England", "ENG"),
    ("Cardiff", "CF11", "Wales", "WLS"),
    ("Aberystwyth", "SY23", "Wales", "WLS"),
    ("Llanfairpwllgwyngyll", "LL61", "Wales", "WLS"),
    ("Edinburgh", "EH6", "Scotland", "SCT"),
    ("Glasgow", "G12", "Scotland", "SCT"),
    ("Portree", "IV51", "Scotland", "SCT"),
    ("Lerwick", "ZE1", "Scotland", "SCT"),
    ("Belfast", "BT9", "Northern Ireland", "NIR"),
    ("Derry", "BT48", "Northern Ireland", "NIR"),
    ("London", "N16", "England", "ENG"),
    ("London", "SE22", "England", "ENG"),
    ("Oxford", "OX4", "England", "ENG"),
    ("Cambridge", "CB1", "England", "ENG"),
    ("Bath", "BA2", "England", "ENG"),
    ("Exeter", "EX4", "England", "ENG"),
    ("Plymouth", "PL4", "England", "ENG"),
    ("Truro", "TR1", "England", "ENG"),
    ("Southampton", "SO15", "England", "ENG"),
    ("Reading", "RG4", "England", "ENG"),
    ("Guildford", "GU1", "England", "ENG"),
    ("Canterbury", "CT1", "England", "ENG"),
    ("Colchester", "CO3", "England", "ENG"),
    ("Ipswich", "IP4", "England", "ENG"),
    ("Peterborough", "PE1", "England", "ENG"),
    ("Nottingham", "NG5", "England", "ENG"),
    ("Leicester", "LE2", "England", "ENG"),
    ("Birmingham", "B13", "England", "ENG"),
    ("Wolverhampton", "WV3", "England", "ENG"),
    ("Shrewsbury", "SY3", "England", "ENG"),
    ("Hereford", "HR1", "England", "ENG"),
    ("Cheltenham", "GL52", "England", "ENG"),
    ("Stoke-on-Trent", "ST4", "England", "ENG"),
    ("Sheffield", "S11", "England", "ENG"),
    ("York", "YO24", "England", "ENG"),
    ("Hull", "HU5", "England", "ENG"),
    ("Lincoln", "LN2", "England", "ENG"),
    ("Liverpool", "L17", "England", "ENG"),
    ("Chester", "CH2", "England", "ENG"),
    ("Preston", "PR2", "England", "ENG"),
    ("Carlisle", "CA1", "England", "ENG"),
    ("Kendal", "LA9", "England", "ENG"),
    ("Durham", "DH1", "England", "ENG"),
    ("Sunderland", "SR2", "England", "ENG"),
    ("Swansea", "SA2", "Wales", "WLS"),
    ("Newport", "NP20", "Wales", "WLS"),
    ("Wrexham", "LL11", "Wales", "WLS"),
    ("Bangor", "LL57", "Wales", "WLS"),
    ("Aberdeen", "AB15", "Scotland", "SCT"),
    ("Dundee", "DD2", "Scotland", "SCT"),
    ("Inverness", "IV2", "Scotland", "SCT"),
    ("Perth", "PH1", "Scotland", "SCT"),
    ("Stirling", "FK8", "Scotland", "SCT"),
    ("Ayr", "KA7", "Scotland", "SCT"),
    ("Lisburn", "BT28", "Northern Ireland", "NIR"),
    ("Newry", "BT34", "Northern Ireland", "NIR"),
];

const STREETS: [&str; 12] = [
    "Acacia Avenue",
    "St Mary’s Road",
    "Heol y Bont",
    "Mill Lane",
    "Station Road",
    "The Green",
    "King’s Crescent",
    "Church Street",
    "Sráid an Droichid",
    "Orchard Close",
    "Harbour View",
    "Albert Terrace",
];

/// The letters that end a postcode; the others are not used there.
const INWARD: &[u8] = b"ABDEFGHJLNPQRSTUWXYZ";

/// Draws customer number `number`.
pub fn person(random: &mut StdRng, number: u64) -> Person {
    let (first, first_plain) = pick(random, &FIRST);
    let (last, last_plain) = pick(random, &LAST);
    let digits: u32 = random.random_range(0..1_000);
    Person {
        first,
        last,
        email: format!("{first_plain}.{last_plain}.{number}@example.com"),
        phone: random.random_bool(0.6).then(|| format!("+447700900{digits:03}")),
        address: address(random),
    }
}

/// Draws an address.
pub fn address(random: &mut StdRng) -> Address {
    let (city, district, province, province_code) = pick(random, &TOWNS);
    let house: u32 = random.random_range(1..220);
    let flat: u32 = random.random_range(1..40);
    let (sector, one, two) = (random.random_range(1..10), letter(random), letter(random));
    Address {
        line1: format!("{house} {}", pick(random, &STREETS)),
        line2: random.random_bool(0.2).then(|| format!("Flat {flat}")),
        city,
        province,
        province_code,
        zip: format!("{district} {sector}{one}{two}"),
    }
}

/// One of the choices.
pub fn pick<T: Copy>(random: &mut StdRng, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())]
}

fn letter(random: &mut StdRng) -> char {
    pick(random, INWARD).into()
}
