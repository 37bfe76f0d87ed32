//! What `--json` prints: one object, whose fields docs/client.md describes. They are stable: later versions may add
//! fields, but remove none.

use std::net::SocketAddrV6;
use std::time::Duration;

use serde::Serialize;

use super::failure::Complaint;
use calc6::arithmetic::Number;
use calc6::client::{Description, Evaluation, ExpressionValue, ServerShare};
use calc6::wire::{Form, Operator};

/// One run of the program.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operands: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trips: Option<RoundTrips>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    servers: Vec<ServerReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorReport>,
}

/// What `--repeat` has measured, in microseconds.
#[derive(Debug, Serialize)]
pub struct RoundTrips {
    pub asked: u64,
    pub answered: u64,
    /// Different results; more than one is an anomaly.
    pub results: u64,
    pub min_us: f64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
}

/// What one of several servers has done.
#[derive(Debug, Serialize)]
struct ServerReport {
    peer: String,
    port: u16,
    sent: u64,
    answered: u64,
    given_up: bool,
}

#[derive(Debug, Serialize)]
struct ErrorReport {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u8>,
    message: String,
    exit_status: u8,
}

impl Report {
    /// For an operator, with the number of operands if known.
    pub fn operator(&mut self, operator: Operator, operands: Option<u64>) {
        self.operator = Some(operator.symbol().to_string());
        self.operands = operands;
    }

    /// For an expression.
    pub fn expression(&mut self, text: &str) {
        self.expression = Some(text.to_owned());
    }

    /// The result, and the exchange that brought it.
    pub fn evaluation(&mut self, evaluation: &Evaluation) {
        self.operands = Some(evaluation.operands);
        self.came(
            Some(evaluation.form),
            evaluation.peer,
            evaluation.requests,
            evaluation.transmissions,
            evaluation.rtt,
        );
        self.result = Some(evaluation.result.to_string());
        let server = |share: &ServerShare| ServerReport {
            peer: address(share.peer),
            port: share.peer.port(),
            sent: share.sent,
            answered: share.answered,
            given_up: share.given_up,
        };
        self.servers = evaluation.servers.iter().map(server).collect();
    }

    /// The description of a server.
    pub fn description(&mut self, description: Description) {
        self.came(Some(Form::Extended), description.peer, 1, description.transmissions, description.rtt);
        self.result = Some(description.text);
    }

    /// The value of an expression, and the exchange of its last request, if there was one.
    pub fn value(&mut self, value: &ExpressionValue) {
        match &value.last {
            Some(last) => self.came(Some(last.form), last.peer, value.requests, value.transmissions, last.rtt),
            None => (self.requests, self.attempts) = (Some(0), Some(0)),
        }
        self.result = Some(value.result.to_string());
    }

    /// All requests and datagrams of `--repeat`.
    pub fn counts(&mut self, requests: u64, attempts: u64) {
        (self.requests, self.attempts) = (Some(requests), Some(attempts));
    }

    /// What `--repeat` has measured.
    pub fn round_trips(&mut self, round_trips: RoundTrips) {
        self.rtt_us = None;
        self.round_trips = Some(round_trips);
    }

    /// Why there is no result.
    pub fn error(&mut self, complaint: Complaint) {
        let Complaint { sentence, kind, status, exit, .. } = complaint;
        self.error = Some(ErrorReport { kind, status, message: sentence, exit_status: exit });
    }

    /// The result.
    pub fn result(&self) -> Option<Number> {
        self.result.as_deref().and_then(|digits| digits.parse().ok())
    }

    /// One line.
    pub fn line(&self) -> String {
        // Strings and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    fn came(&mut self, form: Option<Form>, peer: SocketAddrV6, requests: u64, attempts: u64, rtt: Option<Duration>) {
        self.form = form.map(Form::name);
        self.peer = Some(address(peer));
        self.port = Some(peer.port());
        self.requests = Some(requests);
        self.attempts = Some(attempts);
        self.rtt_us = rtt.map(microseconds);
    }
}

/// An address without its port; a mapped one as the IPv4 address.
fn address(peer: SocketAddrV6) -> String {
    match (peer.ip().to_ipv4_mapped(), peer.scope_id()) {
        (Some(v4), _) => v4.to_string(),
        (None, 0) => peer.ip().to_string(),
        (None, zone) => format!("{}%{zone}", peer.ip()),
    }
}

/// With at most three decimals.
pub fn microseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}
