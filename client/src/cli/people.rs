//! A file of people to register: read and checked whole before anything is sent. Identity numbers are never repeated
//! in a complaint.

use std::{
    collections::{HashMap, HashSet},
    io::Read,
};

use clap::ValueEnum as _;
use csv::StringRecord;
use jiff::civil::{Date, Time};
use kuota_client::{Ask, Lane, PassportKind, PriorityGround};

use super::{
    arguments::{GroundName, PassportName},
    nik,
    report::Failed,
};

/// Rows of one file.
const ROWS_MAX: usize = 1_000_000;
/// Rows of one party.
const PARTY_MAX: usize = 5;
/// Bytes of one file.
const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Complaints shown before the rest is counted.
const COMPLAINTS_MAX: usize = 20;
const REFERENCE_CHARS_MAX: usize = 64;
const REQUIRED: [&str; 5] = ["office", "date", "lane", "nik", "reference"];
const OPTIONAL: [&str; 5] = ["request_id", "party", "passport", "ground", "session"];

/// An ask of the file.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Line of its first row.
    pub(super) line: u64,
    pub(super) office: String,
    pub(super) date: String,
    pub(super) ask: Ask,
}

/// Where each column stands.
struct Columns(HashMap<&'static str, usize>);

/// Finds lines by where records begin: the reader counts neither `\r\n` nor blank lines as an editor does.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

/// A row, checked by itself.
struct Row {
    line: u64,
    office: String,
    date: String,
    lane: Lane,
    nik: String,
    reference: String,
    request_id: Option<String>,
    party: Option<String>,
    passport: Option<PassportKind>,
    ground: Option<PriorityGround>,
    session: Option<String>,
}

/// Complaints about one file, in the order of its lines.
struct Complaints<'a> {
    file: &'a str,
    told: Vec<String>,
    count: usize,
}

impl Complaints<'_> {
    fn add(&mut self, line: u64, column: &str, what: &str) {
        self.count += 1;
        if self.told.len() < COMPLAINTS_MAX {
            self.told.push(format!("{}:{line}:{column}: {what}", self.file));
        }
    }

    fn result<T>(self, value: T) -> Result<T, Failed> {
        if self.count == 0 {
            return Ok(value);
        }
        let more = self.count - self.told.len();
        let more = if more == 0 { String::new() } else { format!("\nkuota: and {more} more") };
        let told = self.told.join("\nkuota: ");
        Err(Failed::Usage(format!("{told}{more}\nNothing was sent: correct the file and run it again.")))
    }
}

impl Lines<'_> {
    /// The line on which the record stands that begins here. Asked in the order of the file.
    fn of(&mut self, record: &StringRecord) -> u64 {
        let begin = record.position().and_then(|at| usize::try_from(at.byte()).ok()).unwrap_or_default();
        let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        // Nothing but blank lines: there is no header.
        let skipped = self.text[begin..].iter().position(|byte| !is_break(byte));
        self.line_at(begin + skipped.unwrap_or_default())
    }

    fn line_at(&mut self, begin: usize) -> u64 {
        while self.at < begin {
            let is_pair = self.text[self.at] == b'\r' && self.text.get(self.at + 1) == Some(&b'\n');
            self.line += u64::from(!is_pair && matches!(self.text[self.at], b'\r' | b'\n'));
            self.at += 1;
        }
        self.line
    }
}

/// Reads the asks of a file, in the order of their first rows.
pub(super) fn read(file: &str, from: impl Read) -> Result<Vec<Wanted>, Failed> {
    let mut text = Vec::new();
    let unread = |error: std::io::Error| Failed::File(format!("{file}: {error}; nothing was sent"));
    from.take(BYTES_MAX + 1).read_to_end(&mut text).map_err(unread)?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > BYTES_MAX) {
        let most = BYTES_MAX / 1024 / 1024;
        return Err(Failed::Usage(format!("{file}: more than {most} MiB; split the file; nothing was sent")));
    }
    // A quote that is open at the end of the text has this line break in its field.
    text.push(b'\n');
    let mut lines = Lines { text: &text, at: 0, line: 1 };
    if let Err(error) = std::str::from_utf8(&text) {
        let line = lines.line_at(error.valid_up_to());
        return Err(Failed::Usage(format!("{file}:{line}: this is no text in UTF-8; nothing was sent")));
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_slice());
    let broken = |_| Failed::Usage(format!("{file}: this is no CSV in UTF-8; nothing was sent"));
    let columns = columns(file, reader.headers().map_err(broken)?, &mut lines)?;
    let mut complaints = Complaints { file, told: Vec::new(), count: 0 };
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        if rows.len() == ROWS_MAX {
            return Err(Failed::Usage(format!("{file}: more than {ROWS_MAX} rows; split the file")));
        }
        let line = lines.of(&record);
        rows.extend(row(&columns, &record, line, &mut complaints));
    }
    if rows.is_empty() && complaints.count == 0 {
        return Err(Failed::Usage(format!("{file}: there is nobody in it; nothing was sent")));
    }
    let asks = asks(rows, &mut complaints);
    complaints.result(asks)
}

fn columns(file: &str, header: &StringRecord, lines: &mut Lines<'_>) -> Result<Columns, Failed> {
    let line = lines.of(header);
    let mut columns = HashMap::new();
    let known = || REQUIRED.into_iter().chain(OPTIONAL);
    let allowed = format!("{} are needed, {} are allowed", REQUIRED.join(", "), OPTIONAL.join(", "));
    for (index, name) in header.iter().enumerate() {
        // A header that is missing may well be a row with an identity number: it is not repeated.
        let Some(known) = known().find(|known| *known == name.trim_start_matches('\u{feff}').trim()) else {
            let column = index + 1;
            return Err(Failed::Usage(format!(
                "{file}:{line}: column {column} has a name that is not known; {allowed}"
            )));
        };
        if columns.insert(known, index).is_some() {
            return Err(Failed::Usage(format!("{file}:{line}:{known}: there are two such columns")));
        }
    }
    match REQUIRED.into_iter().find(|name| !columns.contains_key(name)) {
        Some(missing) => {
            Err(Failed::Usage(format!("{file}:{line}:{missing}: this column is missing; {allowed}")))
        }
        None => Ok(Columns(columns)),
    }
}

fn row(columns: &Columns, record: &StringRecord, line: u64, complaints: &mut Complaints<'_>) -> Option<Row> {
    let before = complaints.count;
    // Another row may stand in a field whose quote is not closed: nothing else is said of such a row.
    for (name, _) in columns.in_order().filter(|(_, index)| is_broken(record.get(*index))) {
        complaints.add(line, name, "a field on one line; a quote opened here is not closed on it");
    }
    if complaints.count > before {
        return None;
    }
    let field =
        |name: &str| columns.0.get(name).and_then(|index| record.get(*index)).unwrap_or_default().trim();
    let optional = |name: &str| Some(field(name).to_owned()).filter(|text| !text.is_empty());
    if record.len() > columns.0.len() {
        let what =
            format!("there are {} fields; as many as the header has, {}", record.len(), columns.0.len());
        complaints.add(line, "row", &what);
    }
    let office = field("office");
    if office.is_empty() || !office.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        complaints.add(line, "office", "the id of an office, as `kuota offices` lists them");
    }
    let date = field("date");
    if date.len() != 10 || date.parse::<Date>().is_err() {
        complaints.add(line, "date", "a calendar day like 2026-11-30");
    }
    let lane = match field("lane") {
        "REGULAR" => Lane::Regular,
        "ONE_DAY" => Lane::OneDay,
        "PRIORITY" => Lane::Priority,
        _ => {
            complaints.add(line, "lane", "REGULAR, ONE_DAY or PRIORITY");
            Lane::Unspecified
        }
    };
    let nik = field("nik");
    if let Some(allowed) = nik::fault(nik) {
        complaints.add(line, "nik", &allowed);
    }
    let reference = field("reference");
    if reference.chars().count() > REFERENCE_CHARS_MAX {
        complaints.add(line, "reference", &format!("up to {REFERENCE_CHARS_MAX} characters"));
    }
    if holds_a_nik(reference) {
        complaints.add(line, "reference", "your own; no identity number, nor as many digits in a row");
    }
    let request_id = optional("request_id");
    if request_id.as_ref().is_some_and(|id| uuid::Uuid::try_parse(id).is_err()) {
        complaints.add(line, "request_id", "a UUID, or nothing");
    }
    let passport = optional("passport").map(|name| PassportName::from_str(&name, false));
    if passport.as_ref().is_some_and(Result::is_err) {
        complaints.add(
            line,
            "passport",
            "ORDINARY_5_YEARS, ORDINARY_10_YEARS, ELECTRONIC_5_YEARS or ELECTRONIC_10_YEARS",
        );
    }
    let ground = optional("ground").map(|name| GroundName::from_str(&name, false));
    if ground.as_ref().is_some_and(Result::is_err) || ground.is_some() != (lane == Lane::Priority) {
        let what = "with PRIORITY, and only there: ELDERLY, DISABLED, PREGNANT or CHILD_UNDER_FIVE";
        complaints.add(line, "ground", what);
    }
    let session = optional("session");
    if session.as_ref().is_some_and(|start| start.len() != 5 || start.parse::<Time>().is_err()) {
        complaints.add(line, "session", "the start of a session like 08:00, or nothing");
    }
    (complaints.count == before).then(|| Row {
        line,
        office: office.into(),
        date: date.into(),
        lane,
        nik: nik.into(),
        reference: reference.into(),
        request_id,
        party: optional("party"),
        passport: passport.and_then(Result::ok).map(Into::into),
        ground: ground.and_then(Result::ok).map(Into::into),
        session,
    })
}

impl Columns {
    /// Names and places, from left to right.
    fn in_order(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let known = REQUIRED.into_iter().chain(OPTIONAL);
        let mut found: Vec<_> = known.filter_map(|name| Some((name, *self.0.get(name)?))).collect();
        found.sort_by_key(|(_, index)| *index);
        found.into_iter()
    }
}

fn is_broken(field: Option<&str>) -> bool {
    field.is_some_and(|text| text.contains(['\r', '\n']))
}

/// A reference is kept in the log as it is, and an identity number must not be.
fn holds_a_nik(reference: &str) -> bool {
    reference.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= nik::DIGITS)
}

/// Rows of the same party make one ask, which stands where its first row stands.
fn asks(rows: Vec<Row>, complaints: &mut Complaints<'_>) -> Vec<Wanted> {
    let mut parties: Vec<Vec<Row>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for row in rows {
        match row.party.as_ref().and_then(|party| places.get(party)) {
            Some(place) => parties[*place].push(row),
            None => {
                if let Some(party) = &row.party {
                    places.insert(party.clone(), parties.len());
                }
                parties.push(vec![row]);
            }
        }
    }
    let mut ids = HashSet::new();
    parties.into_iter().filter_map(|party| wanted(party, &mut ids, complaints)).collect()
}

fn wanted(party: Vec<Row>, ids: &mut HashSet<String>, complaints: &mut Complaints<'_>) -> Option<Wanted> {
    let before = complaints.count;
    let mut rows = party.into_iter();
    let first = rows.next()?;
    let mut niks = HashSet::from([first.nik.clone()]);
    let mut ask = Ask::new(&first.office, &first.date, first.lane);
    ask = applicant(ask, &first);
    if let Some(ground) = first.ground {
        ask = ask.ground(ground);
    }
    if let Some(session) = &first.session {
        ask = ask.session(session);
    }
    for (index, row) in rows.enumerate() {
        if index + 1 == PARTY_MAX {
            complaints.add(row.line, "party", &format!("up to {PARTY_MAX} rows make a party"));
        }
        let same = [
            ("office", row.office == first.office),
            ("date", row.date == first.date),
            ("lane", row.lane == first.lane),
            ("ground", row.ground == first.ground),
            ("session", row.session == first.session),
            ("request_id", row.request_id.is_none() || row.request_id == first.request_id),
        ];
        for (column, _) in same.into_iter().filter(|(_, is_same)| !is_same) {
            complaints.add(
                row.line,
                column,
                &format!("the same in the whole party, as in line {}", first.line),
            );
        }
        if !niks.insert(row.nik.clone()) {
            complaints.add(row.line, "nik", "nobody stands in a party twice");
        }
        ask = applicant(ask, &row);
    }
    if let Some(id) = first.request_id {
        if !ids.insert(id.clone()) {
            complaints.add(
                first.line,
                "request_id",
                "each ask has one of its own; rows of one ask share a party",
            );
        }
        ask = ask.request_id(id);
    }
    let Row { line, office, date, .. } = first;
    (complaints.count == before).then_some(Wanted { line, office, date, ask })
}

fn applicant(ask: Ask, row: &Row) -> Ask {
    let ask = ask.applicant(&row.nik, &row.reference);
    match row.passport {
        Some(kind) => ask.passport(kind),
        None => ask,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "office,date,lane,nik,reference,request_id,party\n";
    const A: &str = "6171012309870001";
    const B: &str = "6171016309870002";

    fn complaint(text: &str) -> String {
        match read("p.csv", text.as_bytes()) {
            Err(Failed::Usage(what)) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parties_are_gathered_in_the_order_of_their_first_rows() {
        let id = "01935f3e-7b2a-7cc0-9b1e-3f2a5d6c7e8f";
        let text = format!(
            "{HEADER}ukk-sintang,2026-11-30,REGULAR,{A},a,{id},f\nmpp-kubu-raya,2026-11-30,ONE_DAY,{B},\nukk-sintang,2026-11-30,REGULAR,{B},b,,f\n"
        );
        let wanted = read("p.csv", text.as_bytes()).unwrap();
        let told: Vec<(u64, &str)> = wanted.iter().map(|w| (w.line, w.office.as_str())).collect();
        assert_eq!(told, [(2, "ukk-sintang"), (3, "mpp-kubu-raya")]);
        let party = Ask::new("ukk-sintang", "2026-11-30", Lane::Regular);
        assert_eq!(wanted[0].ask, party.applicant(A, "a").applicant(B, "b").request_id(id));
    }

    #[test]
    fn an_open_quote_swallows_nobody() {
        let row = |reference: &str| format!("a,2026-11-30,REGULAR,{A},{reference}");
        let other = format!("a,2026-11-30,REGULAR,{B},order 18");
        for text in [
            format!("{HEADER}{}\n{other}\n", row("\"order 17")),
            format!("{HEADER}{}\n{other}\"\n", row("\"order 17")),
            format!("{HEADER}{}", row("\"order 17")),
            format!("{HEADER}{}\n", row("\"order 17")),
            format!("{HEADER}{}\n", row("\"\"\"order 17\"\"")),
            format!("{HEADER}{}\n", row("\"order\r17\"")),
        ] {
            let what = complaint(&text);
            let expected =
                "p.csv:2:reference: a field on one line; a quote opened here is not closed on it\n";
            assert!(what.starts_with(expected) && what.contains("Nothing was sent"), "{text}: {what}");
            assert!(!what.contains(&A[1..]) && !what.contains(&B[1..]), "{what}");
        }
        for reference in [A, "6171012309870001 order 17", "123456789012345678"] {
            let what = complaint(&format!("{HEADER}{}\n", row(reference)));
            assert!(what.starts_with("p.csv:2:reference: your own; no identity number"), "{what}");
        }
        let text = format!("{HEADER}{}\n", row("\" order \"\"17\"\", 123456789012345 \""));
        assert_eq!(read("p.csv", text.as_bytes()).unwrap().len(), 1, "quotes that close, and fewer digits");
    }

    #[test]
    fn lines_are_those_an_editor_shows() {
        let rows = [
            format!("{HEADER}a,2026-11-30,REGULAR,{A},\n\n\nb,2026-11-30,REGULAR,{B},\n"),
            format!("\n{HEADER}a,2026-11-30,REGULAR,{A},\n\nb,2026-11-30,REGULAR,{B},"),
        ];
        for (text, expected) in rows.iter().zip([[2, 5], [3, 5]]) {
            for text in [text.clone(), text.replace('\n', "\r\n"), text.replace('\n', "\r")] {
                let wanted = read("p.csv", text.as_bytes()).unwrap();
                assert_eq!(wanted.iter().map(|wanted| wanted.line).collect::<Vec<_>>(), expected, "{text:?}");
                let what = complaint(&text.replace(B, "1"));
                assert!(what.starts_with("p.csv:5:nik: 16 digits"), "{what}");
            }
        }
        let what = match read("p.csv", b"office\r\n\r\n\xff".as_slice()) {
            Err(Failed::Usage(what)) => what,
            other => panic!("{other:?}"),
        };
        assert!(what.starts_with("p.csv:3: this is no text in UTF-8"), "{what}");
    }

    #[test]
    fn each_fault_is_named_by_line_and_column_and_no_identity_number_is_shown() {
        let row = |office: &str, date: &str, lane: &str, nik: &str, more: &str| {
            format!("{HEADER}{office},{date},{lane},{nik},{more}\n")
        };
        let kinds = |lane: &str, more: &str| {
            format!("office,date,lane,nik,reference,passport,ground\na,2026-11-30,{lane},{A},,{more}\n")
        };
        let at = |session: &str| {
            format!("office,date,lane,nik,reference,session\na,2026-11-30,REGULAR,{A},,{session}\n")
        };
        let good = ("mpp-kubu-raya", "2026-11-30", "REGULAR");
        let long = "x".repeat(65);
        let twice = format!("{HEADER}a,2026-11-30,REGULAR,{A},,,f\na,2026-11-30,REGULAR,{A},,,f\n");
        let split = format!("{HEADER}a,2026-11-30,REGULAR,{A},,,f\nb,2026-12-01,REGULAR,{B},,,f\n");
        let crowd: String =
            (1..=6).map(|n| format!("a,2026-11-30,REGULAR,617101230987000{n},,,f\n")).collect();
        let id = "01935f3e-7b2a-7cc0-9b1e-3f2a5d6c7e8f";
        let reused = format!("{HEADER}a,2026-11-30,REGULAR,{A},,{id}\na,2026-11-30,REGULAR,{B},,{id}\n");
        let rows = [
            (String::new(), "p.csv:1:office: this column is missing"),
            ("office,date,lane,nik\n".into(), "p.csv:1:reference: this column is missing"),
            (format!("{A},b\n"), "p.csv:1: column 1 has a name that is not known"),
            ("nik,nik\n".into(), "p.csv:1:nik: there are two such columns"),
            (HEADER.into(), "p.csv: there is nobody in it"),
            (row("", good.1, good.2, A, ""), "p.csv:2:office: the id of an office"),
            (row("Kanim", good.1, good.2, A, ""), "p.csv:2:office: the id of an office"),
            (row(good.0, "30/11/2026", good.2, A, ""), "p.csv:2:date: a calendar day like"),
            (row(good.0, "2026-02-30", good.2, A, ""), "p.csv:2:date: a calendar day like"),
            (row(good.0, good.1, "FAST", A, ""), "p.csv:2:lane: REGULAR, ONE_DAY or PRIORITY"),
            (row(good.0, good.1, good.2, &A[1..], ""), "p.csv:2:nik: 16 digits; there are 15 characters"),
            (row(good.0, good.1, good.2, "6171013209870001", ""), "p.csv:2:nik: digits 7 to 12 are a birth"),
            (row(good.0, good.1, good.2, "6171012309870000", ""), "p.csv:2:nik: digits 13 to 16 count"),
            (row(good.0, good.1, good.2, A, &long), "p.csv:2:reference: up to 64 characters"),
            (row(good.0, good.1, good.2, A, "a,7"), "p.csv:2:request_id: a UUID, or nothing"),
            (row(good.0, good.1, good.2, A, "a,,,,"), "p.csv:2:row: there are 9 fields"),
            (row(good.0, good.1, "PRIORITY", A, ""), "p.csv:2:ground: with PRIORITY, and only there"),
            (kinds("REGULAR", "DIPLOMATIC,"), "p.csv:2:passport: ORDINARY_5_YEARS, "),
            (kinds("REGULAR", ",ELDERLY"), "p.csv:2:ground: with PRIORITY, and only there"),
            (kinds("PRIORITY", ",OLD"), "p.csv:2:ground: with PRIORITY, and only there"),
            (at("8:00"), "p.csv:2:session: the start of a session like 08:00"),
            (at("25:00"), "p.csv:2:session: the start of a session like 08:00"),
            (twice, "p.csv:3:nik: nobody stands in a party twice"),
            (split, "p.csv:3:office: the same in the whole party, as in line 2\nkuota: p.csv:3:date:"),
            (format!("{HEADER}{crowd}"), "p.csv:7:party: up to 5 rows make a party"),
            (reused, "p.csv:3:request_id: each ask has one of its own"),
        ];
        for (text, expected) in rows {
            let what = complaint(&text);
            assert!(what.contains(expected), "{expected}: {what}");
            assert!(!what.contains(&A[1..]) && !what.contains(&B[1..]), "{what}");
        }
        let many = format!("{HEADER}{}", "a,b,c,d,e\n".repeat(30));
        assert!(complaint(&many).contains("and 70 more"), "{}", complaint(&many));
    }
}
