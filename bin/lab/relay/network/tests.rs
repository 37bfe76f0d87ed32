use super::*;
use crate::relay::impairments::Distribution;
use crate::relay::impairments::FlowDirection::{ToClient, ToServer};
use crate::units::Probability;

const TRIALS: u32 = 20_000;

/// A fixed seed, or in a soak a new one, printed.
fn seed(fixed: u64) -> u64 {
    match std::env::var_os("CALC6_SOAK") {
        None => fixed,
        Some(_) => {
            let seed = getrandom::u64().unwrap();
            println!("seed {seed}");
            seed
        }
    }
}

fn probability(text: &str) -> Probability {
    text.parse().unwrap()
}

/// Sends `TRIALS` numbered datagrams of 8 octets through the network, one a millisecond, until all have left it.
fn run(impairments: &Impairments, seed: u64) -> (RelayTotals, Vec<(Duration, Vec<u8>)>) {
    let mut network = Network::new(impairments.clone(), Impairments::default(), seed);
    let mut out = Vec::new();
    for trial in 0..TRIALS {
        let now = Duration::from_millis(trial.into());
        collect(&mut network, now, &mut out);
        network.send(now, 0, ToServer, &u64::from(trial).to_be_bytes());
    }
    collect(&mut network, Duration::MAX, &mut out);
    assert_eq!(network.in_flight(), 0);
    assert_eq!(network.octets_in_flight, 0);
    (network.totals(ToServer), out)
}

fn collect(network: &mut Network, until: Duration, out: &mut Vec<(Duration, Vec<u8>)>) {
    while let Some(time) = network.next_departure().filter(|time| *time <= until) {
        let departure = network.depart(time).unwrap();
        assert_eq!(departure.direction, ToServer);
        out.push((time, departure.payload));
    }
}

/// Within five standard deviations of a binomial count; a false alarm is expected once in two million seeds.
fn assert_share(count: u64, probability: f64) {
    let trials = f64::from(TRIALS);
    let deviation = (trials * probability * (1.0 - probability)).sqrt();
    let distance = (count as f64 - trials * probability).abs();
    assert!(distance <= 5.0 * deviation, "{count} of {trials}, not {probability}");
}

#[test]
fn without_impairments_everything_passes_at_once_and_in_order() {
    let (totals, out) = run(&Impairments::default(), 1);
    assert_eq!((totals.received, totals.sent), (TRIALS.into(), TRIALS.into()));
    for (trial, (time, payload)) in out.iter().enumerate() {
        assert_eq!(*time, Duration::from_millis(trial as u64));
        assert_eq!(payload[..], (trial as u64).to_be_bytes());
    }
}

#[test]
fn each_rate_is_the_configured_one() {
    for seed in [1, 2, 3].map(seed) {
        let impairments = Impairments {
            loss: probability("30%"),
            duplicate: probability("5%"),
            reorder: probability("10%"),
            reorder_hold: Duration::from_secs(1),
            corrupt: probability("2%"),
            corrupt_bits: 3,
            truncate: probability("1%"),
            ..Impairments::default()
        };
        let (totals, out) = run(&impairments, seed);
        assert_share(totals.lost, 0.3);
        assert_share(totals.duplicated, 0.7 * 0.05);
        assert_share(totals.reordered, 0.7 * 0.1);
        assert_share(totals.truncated, 0.7 * 0.01);
        // A datagram that is truncated to 0 octets has no bits to flip.
        assert_share(totals.corrupted, 0.7 * 0.02 * (1.0 - 0.01 / 8.0));
        assert_eq!(totals.sent, u64::from(TRIALS) - totals.lost + totals.duplicated);
        assert_eq!(totals.sent, out.len() as u64);
    }
}

#[test]
fn the_configured_number_of_different_bits_is_flipped() {
    let impairments = Impairments { corrupt: probability("1"), corrupt_bits: 5, ..Impairments::default() };
    let (_, out) = run(&impairments, seed(7));
    let mut hits = [0_u64; 64];
    for (trial, (_, payload)) in out.iter().enumerate() {
        let flipped = u64::from_be_bytes(payload[..].try_into().unwrap()) ^ trial as u64;
        assert_eq!(flipped.count_ones(), 5);
        (0..64).for_each(|bit| hits[bit] += flipped >> bit & 1);
    }
    hits.into_iter().for_each(|hit| assert_share(hit, 5.0 / 64.0));
    let mut network = Network::new(impairments, Impairments::default(), 7);
    assert_eq!(network.send(Duration::ZERO, 0, ToServer, b"").flipped, [0; 0]);
}

#[test]
fn every_shorter_length_is_equally_likely() {
    let (_, out) = run(&Impairments { truncate: probability("1"), ..Impairments::default() }, seed(5));
    let mut lengths = [0; 8];
    out.iter().for_each(|(_, payload)| lengths[payload.len()] += 1);
    lengths.into_iter().for_each(|count| assert_share(count, 1.0 / 8.0));
}

#[test]
fn a_held_datagram_is_overtaken_by_the_next_one_that_is_not() {
    let hold = Duration::from_millis(100);
    let (totals, out) =
        run(&Impairments { reorder: probability("20%"), reorder_hold: hold, ..Impairments::default() }, 3);
    let order: Vec<u64> = out.iter().map(|(_, payload)| u64::from_be_bytes(payload[..].try_into().unwrap())).collect();
    let overtaken = (0..order.len()).filter(|&at| order[at + 1..].iter().take(20).any(|later| *later < order[at]));
    assert!(overtaken.count() > 0);
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..u64::from(TRIALS)), "each arrives once");
    for (time, payload) in &out {
        let sent = Duration::from_millis(u64::from_be_bytes(payload[..].try_into().unwrap()));
        assert!(*time - sent <= hold);
    }
    assert!(totals.reordered > 0);
}

#[test]
fn a_held_datagram_that_nothing_overtakes_leaves_after_the_longest_wait() {
    let hold = Duration::from_millis(40);
    let reorder = Impairments { reorder: probability("1"), reorder_hold: hold, ..Impairments::default() };
    let mut network = Network::new(reorder, Impairments::default(), 1);
    network.send(Duration::ZERO, 0, ToServer, b"only");
    assert_eq!(network.next_departure(), Some(hold));
    assert_eq!(network.depart(hold - Duration::from_nanos(1)), None);
    assert!(network.depart(hold).is_some());
}

#[test]
fn delays_have_the_mean_and_spread_of_their_distribution() {
    let (delay, jitter) = (Duration::from_millis(200), Duration::from_millis(20));
    // In units of the jitter: mean, standard deviation, median, and the least possible value.
    let expected = [
        (Distribution::Uniform, 0.0, 1.0 / 3.0_f64.sqrt(), 0.0, -1.0),
        (Distribution::Normal, 0.0, 1.0, 0.0, -10.0),
        (Distribution::Exponential, 1.0, 1.0, 2.0_f64.ln(), 0.0),
        (Distribution::Pareto, 1.0, 3.0_f64.sqrt(), 2.0 * (2.0_f64.cbrt() - 1.0), 0.0),
    ];
    for (distribution, mean, deviation, median, least) in expected {
        let (_, out) = run(&Impairments { delay, jitter, distribution, ..Impairments::default() }, seed(11));
        let mut scaled: Vec<f64> = out
            .iter()
            .map(|(time, payload)| {
                let sent = Duration::from_millis(u64::from_be_bytes(payload[..].try_into().unwrap()));
                ((*time - sent).as_secs_f64() - delay.as_secs_f64()) / jitter.as_secs_f64()
            })
            .collect();
        let trials = f64::from(TRIALS);
        let seen = scaled.iter().sum::<f64>() / trials;
        assert!((seen - mean).abs() < 5.0 * deviation / trials.sqrt(), "{distribution:?}: mean {seen}");
        let spread = (scaled.iter().map(|value| (value - seen).powi(2)).sum::<f64>() / trials).sqrt();
        // The sample variance of a Pareto variable of shape 3 has itself no finite variance, so the median checks the
        // tail.
        let heavy = distribution == Distribution::Pareto;
        assert!(heavy || (spread / deviation - 1.0).abs() < 0.05, "{distribution:?}: spread {spread}");
        scaled.sort_by(f64::total_cmp);
        let middle = scaled[scaled.len() / 2];
        assert!((middle - median).abs() < 0.05, "{distribution:?}: median {middle}");
        assert!(scaled.iter().all(|value| *value >= least - 1e-6), "{distribution:?}");
    }
}

#[test]
fn the_bandwidth_spaces_datagrams_and_a_full_queue_drops() {
    // 1,000 octets with headers take a second; at most four such datagrams may wait.
    let narrow = Impairments { rate: Some(8_000), queue: 4_000, ..Impairments::default() };
    let mut network = Network::new(narrow, Impairments::default(), 1);
    let fates = [(); 10].map(|()| network.send(Duration::ZERO, 0, ToServer, &[0; 1000 - HEADERS]));
    let dropped = fates.map(|fate| fate.dropped);
    assert_eq!(dropped[..4], [None; 4]);
    assert_eq!(dropped[4..], [Some(DropReason::QueueFull); 6]);
    let mut out = Vec::new();
    collect(&mut network, Duration::MAX, &mut out);
    let times: Vec<u64> = out.iter().map(|(time, _)| time.as_millis() as u64).collect();
    assert_eq!(times, [1000, 2000, 3000, 4000]);
    // After a pause the link is free again; the other direction was never occupied.
    let later = Duration::from_secs(60);
    assert_eq!(network.send(later, 0, ToServer, &[0; 1000 - HEADERS]).delays[0], Duration::from_secs(1));
    assert_eq!(network.send(later, 0, ToClient, &[0; 1000]).delays[0], Duration::ZERO);
}

#[test]
fn the_same_seed_gives_the_same_fate_among_other_clients() {
    let all = Impairments {
        loss: probability("20%"),
        duplicate: probability("20%"),
        corrupt: probability("20%"),
        corrupt_bits: 2,
        truncate: probability("20%"),
        jitter: Duration::from_millis(10),
        ..Impairments::default()
    };
    let fates = |seed, others: bool| -> Vec<Fate> {
        let mut network = Network::new(all.clone(), all.clone(), seed);
        let mut now = Duration::ZERO;
        (0..200)
            .map(|_| {
                if others {
                    now += Duration::from_millis(3);
                    network.send(now, 1, ToServer, b"another client's");
                    network.send(now, 0, ToClient, b"the other direction");
                }
                network.send(now, 0, ToServer, b"sixteen octets..")
            })
            .collect()
    };
    assert_eq!(fates(9, false), fates(9, true));
    assert_ne!(fates(9, false), fates(10, false));
}

#[test]
fn one_option_does_not_change_the_effect_of_another() {
    let lost = |truncate| {
        let impairments =
            Impairments { loss: probability("20%"), truncate: probability(truncate), ..Impairments::default() };
        let mut network = Network::new(impairments, Impairments::default(), 4);
        let send = |_| network.send(Duration::ZERO, 0, ToServer, b"octets").dropped;
        (0..500).map(send).collect::<Vec<_>>()
    };
    assert_eq!(lost("0"), lost("50%"));
}

#[test]
fn datagrams_in_flight_are_bounded() {
    let slow = Impairments { delay: Duration::from_secs(1), ..Impairments::default() };
    let mut network = Network::new(slow.clone(), Impairments::default(), 1);
    let overflow = (0..=MAX_UNDER_WAY).filter(|_| {
        let fate = network.send(Duration::ZERO, 0, ToServer, b"");
        fate.dropped == Some(DropReason::Overflow)
    });
    assert_eq!(overflow.count(), 2);
    let mut network = Network::new(slow, Impairments::default(), 1);
    (0..2_000).for_each(|_| drop(network.send(Duration::ZERO, 0, ToServer, &[0; 60_000])));
    assert!(network.octets_in_flight <= MAX_OCTETS_UNDER_WAY);
}

#[test]
fn a_fate_is_described_in_words() {
    let fate = Fate {
        dropped: None,
        truncated: Some(3),
        flipped: vec![17],
        duplicated: true,
        held: true,
        delays: [Duration::from_millis(10), Duration::from_millis(12)],
    };
    let words =
        "delayed by 10.0 ms, truncated to 3 octets, bit 17 flipped, held until overtaken, and a copy by 12.0 ms";
    assert_eq!(fate.to_string(), words);
    assert_eq!(Fate { dropped: Some(DropReason::Lost), ..fate }.to_string(), "lost");
}
