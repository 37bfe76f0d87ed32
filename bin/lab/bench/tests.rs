use super::*;

#[test]
fn steady_is_when_several_slices_are_alike() {
    assert!(!is_steady(&[]));
    assert!(!is_steady(&[10.0, 10.0, 10.0, 10.0, 10.0]));
    assert!(is_steady(&[10.0, 10.0, 10.0, 10.0, 10.0, 1.0]));
    assert!(!is_steady(&[0.0, 10.0, 10.0, 10.0, 10.0, 1.0]));
    assert!(is_steady(&[0.0, 9.5, 10.5, 10.0, 10.0, 10.0, 1.0]));
    assert!(!is_steady(&[0.0; 10]));
}

#[test]
fn quartiles_are_shown() {
    let Spread { low, median, high, pairs } = Spread::new(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
    assert_eq!((low, median, high, pairs), (2.0, 3.0, 4.0, 5));
}

#[test]
fn slices_of_all_threads_make_one_series() {
    let mut tally = Tally::default();
    tally.latencies.record(5_000).unwrap();
    let mut series = Series::new(3);
    for number in [2, 3, 3, 5, 4, 9] {
        series.add(number, &tally);
    }
    let points = series.points();
    let rates: Vec<f64> = points.iter().map(|point| point.rate).collect();
    assert_eq!(rates, [20.0, 10.0, 10.0, 0.0, 0.0, 0.0, 10.0]);
    assert!((points[6].seconds - 0.7).abs() < 1e-9);
}
