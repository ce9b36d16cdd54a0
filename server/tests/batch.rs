//! `RegisterBatch`: each ask by itself, in order, and by the same rules as one by one.

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use kuota_api::v1::{
    self, register_batch_item::Outcome, registration_service_client::RegistrationServiceClient,
};
use prost::Message as _;
use support::{Friday, MONDAY, OFFICE, Server, people::nik, process::page};
use tonic::{Code, transport::Channel};
use uuid::Uuid;

type Client = RegistrationServiceClient<Channel>;

async fn client(server: &Server) -> Client {
    let url = format!("http://{}", server.addresses.grpc);
    Client::connect(url).await.unwrap().max_decoding_message_size(16 << 20)
}

fn request(id: u128, office: &str, date: &str, people: &[u32]) -> v1::RegisterRequest {
    v1::RegisterRequest {
        request_id: Uuid::from_u128(id).to_string(),
        office_id: office.into(),
        service_date: date.into(),
        lane: v1::Lane::Regular.into(),
        applicants: people
            .iter()
            .map(|person| v1::Applicant { nik: nik(*person), reference: String::new(), ..Default::default() })
            .collect(),
        durability: v1::Durability::Durable.into(),
        ..Default::default()
    }
}

fn ask(id: u128, people: &[u32]) -> v1::RegisterRequest {
    request(id, OFFICE, MONDAY, people)
}

async fn batch(client: &mut Client, requests: Vec<v1::RegisterRequest>) -> Vec<v1::RegisterBatchItem> {
    let sent: Vec<_> = requests.iter().map(|request| request.request_id.clone()).collect();
    let answer = client.register_batch(v1::RegisterBatchRequest { requests }).await.unwrap().into_inner();
    let answered: Vec<_> = answer.items.iter().map(|item| item.request_id.clone()).collect();
    assert_eq!(answered, sent, "one item an ask, in the order of the asks");
    answer.items
}

/// What an item says, in one word.
fn word(item: &v1::RegisterBatchItem) -> String {
    match item.outcome.as_ref().unwrap() {
        Outcome::Registration(found) => format!("registered {}", found.queue_number),
        Outcome::Refusal(refusal) => {
            refusal.reason().as_str_name().trim_start_matches("REFUSAL_REASON_").into()
        }
        Outcome::Error(error) => {
            let mut reasons =
                error.details.iter().filter(|any| any.type_url.ends_with("google.rpc.ErrorInfo"));
            let info = tonic_types::pb::ErrorInfo::decode(&*reasons.next().unwrap().value).unwrap();
            format!("{:?} {}", Code::from(error.code), info.reason)
        }
    }
}

#[tokio::test]
async fn each_ask_of_a_batch_is_answered_by_itself_and_in_order() {
    let server = Friday::open().places(4).start().await;
    let mut client = client(&server).await;
    assert_eq!(word(&batch(&mut client, vec![ask(1, &[1])]).await[0]), "registered 1");

    let rows = [
        (ask(2, &[2]), "registered 2"),
        (v1::RegisterRequest { lane: 0, ..ask(3, &[3]) }, "InvalidArgument INVALID_FIELD"),
        (ask(4, &[2]), "ALREADY_REGISTERED"),
        (ask(1, &[1]), "registered 1"),
        (ask(1, &[9]), "FailedPrecondition REQUEST_ID_REUSED"),
        (request(5, "kanim-nowhere", MONDAY, &[5]), "NotFound OFFICE_NOT_FOUND"),
        (ask(2, &[2]), "registered 2"),
        (ask(6, &[6]), "registered 3"),
        (request(7, OFFICE, "2026-12-25", &[7]), "NOT_A_SERVICE_DAY"),
        (ask(8, &[8, 9]), "NOT_ENOUGH_PLACES"),
        (ask(9, &[10]), "registered 4"),
        (ask(10, &[11]), "SOLD_OUT"),
    ];
    let items = batch(&mut client, rows.iter().map(|(request, _)| request.clone()).collect()).await;
    for (item, (request, expected)) in items.iter().zip(&rows) {
        // Within the batch a shortage may be found that no commit ever showed: then nothing is claimed (INV-5).
        let word = word(item);
        assert!(word == *expected || word == "BUSY", "{}: {word}, not {expected}", request.request_id);
    }
    let again = batch(&mut client, rows.iter().map(|(request, _)| request.clone()).collect()).await;
    assert_eq!(word(&again[9]), "SOLD_OUT", "after the commit there is no doubt");
    assert_eq!(word(&again[11]), "SOLD_OUT");
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test]
async fn a_batch_has_at_least_one_ask_and_at_most_a_thousand() {
    let server = Friday::open().places(2_000).start().await;
    let mut client = client(&server).await;
    for size in [0, 1_001] {
        let requests = (0..size).map(|n| ask(u128::from(n) + 1, &[n])).collect();
        let refused = client.register_batch(v1::RegisterBatchRequest { requests }).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with("requests: 1 to 1000 asks are allowed"), "{refused:?}");
    }
    // A thousand parties of five, with references as long as they may be.
    let party = |n: u32| {
        let mut request = ask(u128::from(n) + 1, &[5 * n, 5 * n + 1]);
        request.applicants.iter_mut().for_each(|applicant| applicant.reference = "\u{e9}".repeat(64));
        request
    };
    let items = batch(&mut client, (0..1_000).map(party).collect()).await;
    assert!(items.iter().all(|item| word(item).starts_with("registered")));
    assert_eq!(server.verify().grants, 1_000);
    server.stop().await;
}

const OFFICES: [&str; 4] = ["kanim-a", "kanim-b", "kanim-c", "kanim-d"];
const DAYS: [&str; 5] = ["2026-11-30", "2026-12-01", "2026-12-02", "2026-12-03", "2026-12-04"];
const PLACES: u32 = 300;
const BATCHES: u32 = 200;
const ASKS: u32 = 1_000;

/// Ask `n` of all: 20 slots, people who ask in several places, and ids that come twice.
fn crowded(n: u32) -> v1::RegisterRequest {
    // Every tenth ask repeats the one 1,000 before it.
    let n = if n % 10 == 9 && n >= ASKS { n - ASKS } else { n };
    let slot = n.wrapping_mul(2_654_435_761) >> 8;
    let office = OFFICES[(slot % 4) as usize];
    let date = DAYS[(slot / 4 % 5) as usize];
    // A quarter of the people ask for somebody who has asked before.
    let person = if n % 4 == 3 { n / 2 } else { n };
    request(u128::from(n) + 1, office, date, &[person])
}

/// What became of every ask, with the rules that any order of asks must keep checked.
#[derive(PartialEq, Debug)]
struct Allocation {
    places: BTreeMap<(String, String), usize>,
    granted: BTreeSet<String>,
}

async fn settle(server: &Server, asks: &[v1::RegisterRequest], chunk: usize) -> Allocation {
    let mut client = client(server).await;
    let mut left: Vec<_> = asks.to_vec();
    let mut granted: HashMap<String, v1::Registration> = HashMap::new();
    let mut refused: HashMap<String, v1::RefusalReason> = HashMap::new();
    for round in 0.. {
        assert!(round < 1_000, "{} asks are still busy", left.len());
        let mut busy = Vec::new();
        for requests in left.chunks(chunk) {
            for (item, request) in batch(&mut client, requests.to_vec()).await.into_iter().zip(requests) {
                match item.outcome.unwrap() {
                    Outcome::Registration(found) => {
                        let first = granted.entry(item.request_id).or_insert_with(|| found.clone());
                        assert_eq!(first.id, found.id, "one request, one registration");
                    }
                    Outcome::Refusal(refusal) if refusal.reason() == v1::RefusalReason::Busy => {
                        busy.push(request.clone());
                    }
                    Outcome::Refusal(refusal) => drop(refused.insert(item.request_id, refusal.reason())),
                    Outcome::Error(error) => panic!("{error:?}"),
                }
            }
        }
        if busy.is_empty() {
            break;
        }
        left = busy;
    }
    let mut places = BTreeMap::new();
    let mut people = HashSet::new();
    for request in
        asks.iter().map(|request| (&request.request_id, request)).collect::<BTreeMap<_, _>>().values()
    {
        let slot = (request.office_id.clone(), request.service_date.clone());
        if granted.contains_key(&request.request_id) {
            *places.entry(slot).or_default() += 1;
            assert!(people.insert(request.applicants[0].nik.clone()), "one live registration a person");
        } else {
            let reason = refused[&request.request_id];
            assert!(matches!(reason, v1::RefusalReason::SoldOut | v1::RefusalReason::AlreadyRegistered));
        }
    }
    let verdict = server.verify();
    assert!(verdict.ok, "{:?}", verdict.faults);
    assert_eq!(verdict.grants, granted.len() as u64);
    Allocation { places, granted: granted.into_keys().collect() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_batches_allocate_by_the_same_rules_as_asks_sent_singly() {
    let start = || async {
        let friday = OFFICES.iter().fold(Friday::open(), |friday, office| friday.office(office, PLACES));
        friday.start().await
    };
    let asks: Vec<_> = (0..BATCHES * ASKS).map(crowded).collect();
    let (together, singly) = (start().await, start().await);
    let batched = settle(&together, &asks, ASKS as usize).await;
    assert_eq!(batched.places.len(), 20);
    assert!(batched.places.values().all(|places| *places == PLACES as usize), "every place was given");
    // The first asks of all, one at a time: in the same order they get the same places.
    let few = &asks[..8_000];
    let alone = settle(&singly, few, 1).await;
    let compared = start().await;
    let by_hundreds = settle(&compared, few, 100).await;
    assert_eq!(alone, by_hundreds);
    for server in [together, singly, compared] {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_race_for_the_same_people_and_places_sell_each_once() {
    let server = Friday::open().places(500).start().await;
    let mut calls = Vec::new();
    for round in 0..8_u32 {
        let mut client = client(&server).await;
        // The same thousand people in each batch, each time under other ids, in another order.
        let requests: Vec<_> = (0..1_000_u32)
            .map(|n| ask((u128::from(round) << 32) + u128::from(n) + 1, &[(n * 7 + round * 131) % 1_000]))
            .collect();
        calls.push(tokio::spawn(async move { batch(&mut client, requests).await }));
    }
    let mut granted = 0;
    for call in calls {
        let items = call.await.unwrap();
        granted += items.iter().filter(|item| word(item).starts_with("registered")).count();
        let allowed = ["SOLD_OUT", "ALREADY_REGISTERED", "BUSY"];
        assert!(items.iter().all(|item| {
            let word = word(item);
            word.starts_with("registered") || allowed.contains(&word.as_str())
        }));
    }
    let verdict = server.verify();
    assert!(verdict.ok && verdict.grants == 500 && granted == 500, "{granted} {verdict:?}");
    server.stop().await;
}

/// More offices, and with their days more slots, than are thought to be at hand anyway: then they are found, and looked at,
/// some at a time and before their turn.
const MANY: u32 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_many_offices_each_ask_finds_its_own_together_and_singly() {
    let office = |n: u32| format!("kanim-{n}");
    let friday = (0..MANY).fold(Friday::open(), |friday, n| friday.office(&office(n), 2));
    let server = friday.start().await;
    let mut client = client(&server).await;
    // Three for two places of each, in a mixed order, and some where there is no office.
    let asks = |date: &str, first: u32| -> Vec<_> {
        let nowhere = (0..9).map(|n| request(u128::from(first + 990 + n), "kanim-nowhere", date, &[first]));
        let mixed = (0..3 * MANY).map(|n| (n, office(n * 7 % MANY)));
        let somewhere = mixed.map(|(n, at)| request(u128::from(first + n) + 1, &at, date, &[first + n]));
        somewhere.chain(nowhere).collect()
    };
    let (monday, tuesday) = (asks(DAYS[0], 0), asks(DAYS[1], 1_000));
    let together = batch(&mut client, monday.clone()).await;
    let calls: Vec<_> = tuesday
        .iter()
        .map(|request| {
            let (mut client, request) = (client.clone(), request.clone());
            tokio::spawn(async move { client.register(request).await })
        })
        .collect();
    let mut granted: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut grant = |asked: &v1::RegisterRequest, found: v1::Registration| {
        assert_eq!((&found.office_id, &found.service_date), (&asked.office_id, &asked.service_date));
        granted.entry((found.office_id, found.service_date)).or_default().push(found.id);
    };
    for (item, asked) in together.into_iter().zip(&monday) {
        let word = word(&item);
        match item.outcome {
            Some(Outcome::Registration(found)) => grant(asked, found),
            _ if asked.office_id == "kanim-nowhere" => assert_eq!(word, "NotFound OFFICE_NOT_FOUND"),
            _ => assert!(word == "SOLD_OUT" || word == "BUSY", "{word}"),
        }
    }
    for (call, asked) in calls.into_iter().zip(&tuesday) {
        use v1::register_response::Outcome;
        match call.await.unwrap() {
            Ok(answer) => match answer.into_inner().outcome.unwrap() {
                Outcome::Registration(found) => grant(asked, found),
                Outcome::Refusal(refusal) => {
                    let reasons = [v1::RefusalReason::SoldOut, v1::RefusalReason::Busy];
                    assert!(reasons.contains(&refusal.reason()), "{refusal:?}");
                }
            },
            Err(status) => assert_eq!((status.code(), &*asked.office_id), (Code::NotFound, "kanim-nowhere")),
        }
    }
    assert!(granted.len() == 2 * MANY as usize && granted.values().all(|ids| ids.len() == 2), "{granted:?}");

    // What is given back can be had again, once each.
    let on_monday = || granted.iter().filter(|((_, date), _)| date == DAYS[0]);
    for (_, ids) in on_monday() {
        let id = ids[0].clone();
        let given_back = v1::CancelRequest { id, ..Default::default() };
        client.cancel(given_back).await.unwrap();
    }
    let again = (0..).zip(on_monday());
    let again = again.map(|(n, ((at, _), _))| request(u128::from(5_000 + 2 * n), at, DAYS[0], &[5_000 + n]));
    let items = batch(&mut client, again.collect()).await;
    assert!(items.iter().all(|item| word(item) == "registered 3"), "{items:?}");
    assert!(page(&server.addresses.http.to_string(), "/metrics").contains("\nkuota_permits_out 0\n"));
    let verdict = server.verify();
    assert!(verdict.ok && verdict.grants == u64::from(5 * MANY), "{verdict:?}");
    server.stop().await;
}
