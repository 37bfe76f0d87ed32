//! The client's options, in one table: the getopts parser, `--help`, the man page and the shell completions are all
//! made from it.

use getopts::{HasArg, Occur, Options};

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// One letter, or empty.
    pub short: &'static str,
    /// The long name: accepted after one dash and after two.
    pub long: &'static str,
    /// The kind of its value; `None` for a flag.
    pub value: Option<Value>,
    /// Whether it may be given more than once.
    pub many: bool,
    /// Its help text.
    pub help: &'static str,
}

/// The kind of an option's value: it decides the placeholder in the help and the completions of the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A symbol or word of [`calc6::wire::Operator`].
    Operator,
    /// An infix expression ([`calc6::expression`]).
    Expression,
    /// The name of a file.
    File,
    /// A host and a port with a colon between them.
    HostPort,
    /// 2, 8, 10 or 16.
    Base,
    /// Seconds, or a number with a unit.
    Duration,
    /// A whole number.
    Count,
    /// `auto` or `off`.
    Segmentation,
    /// Octets: a whole number, with K, M or G for 1024, its square and its cube.
    Octets,
}

impl Value {
    /// The placeholder in the help.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Value::Operator => "OPERATOR",
            Value::Expression => "EXPRESSION",
            Value::File => "FILE",
            Value::HostPort => "HOST:PORT",
            Value::Base => "BASE",
            Value::Duration => "DURATION",
            Value::Count => "N",
            Value::Octets => "OCTETS",
            Value::Segmentation => "WHEN",
        }
    }
}

/// Options that belong together, under one heading of the help.
#[derive(Debug, Clone, Copy)]
pub struct OptionGroup {
    /// The heading.
    pub title: &'static str,
    /// The options, in the order of the help.
    pub options: &'static [Spec],
}

const fn flag(short: &'static str, long: &'static str, help: &'static str) -> Spec {
    Spec { short, long, value: None, many: false, help }
}

const fn valued(short: &'static str, long: &'static str, value: Value, help: &'static str) -> Spec {
    Spec { short, long, value: Some(value), many: false, help }
}

/// Every option.
pub const GROUPS: &[OptionGroup] = &[
    OptionGroup {
        title: "What to ask, one of",
        options: &[
            valued(
                "",
                "op",
                Value::Operator,
                "The operator: + - * / % ^ gcd lcm min max & | ~ or a word for it: sum add, difference sub, product mul \
                 x, quotient div, remainder rem, power pow, and, or, xor. Some symbols have a meaning in the shell: \
                 quote '*' '?' '~' '<' '>' '&' '|'.",
            ),
            valued(
                "e",
                "expression",
                Value::Expression,
                "An expression such as '(1+3)*5 - 2^10' or 'gcd(12, 18) % 4'; - reads one from each line of standard input.",
            ),
            flag(
                "i",
                "interactive",
                "Ask for lines at a prompt, or read them from a pipe; 'help' there lists what can be asked.",
            ),
            flag("", "describe", "Ask what the server is and can do."),
        ],
    },
    OptionGroup {
        title: "Where operands come from",
        options: &[
            valued(
                "",
                "file",
                Value::File,
                "Read them from a file: any number of integers, separated by white space or commas; \
                # starts a comment. A single - in place of operands reads standard input.",
            ),
            valued("", "max-result", Value::Octets, "Refuse results of more than OCTETS. Default: 1M."),
            Spec {
                many: true,
                ..valued(
                    "",
                    "also",
                    Value::HostPort,
                    "Share the work with this server too, and let it take over where another stops: [ADDRESS]:PORT or \
                     NAME:PORT. May be given more than once.",
                )
            },
        ],
    },
    OptionGroup {
        title: "Protocol",
        options: &[
            flag("s", "string", "Ask for the result as a string of decimal digits: up to 256 in the classic form."),
            flag("", "classic", "Use the classic form only: sum and product of integers from 0 to 4294967295."),
            flag("", "extended", "Use the extended form only."),
            valued(
                "",
                "segmentation",
                Value::Segmentation,
                "Send the requests of a batch as segments of one message: auto, where the system can, or off. Default: auto.",
            ),
            flag(
                "",
                "local",
                "Ask a server inside this process, on a free port of ::1 (127.0.0.1 where IPv6 is off); without HOST and PORT.",
            ),
        ],
    },
    OptionGroup {
        title: "How long to wait",
        options: &[
            valued(
                "",
                "timeout",
                Value::Duration,
                "First wait, times a random 1 to 1.5: seconds, or with a unit (100ms). Default: 1.",
            ),
            valued(
                "",
                "retries",
                Value::Count,
                "Repeat an unanswered request up to N times, each wait twice as long as the one before, at most a minute. \
                 Default: 3.",
            ),
            valued("", "deadline", Value::Duration, "Give up after this time in all. Default: only the above."),
        ],
    },
    OptionGroup {
        title: "What to print",
        options: &[
            valued(
                "",
                "base",
                Value::Base,
                "Print the result in base 2, 8, 10 or 16, after 0b, 0o or 0x. Default: 10.",
            ),
            flag("", "json", "Print one JSON object, for errors too; with -i and -e -, one a line."),
            valued("", "repeat", Value::Count, "Ask N times and summarise the round-trip times."),
            valued("", "interval", Value::Duration, "With --repeat: ask this often. Default: again at once."),
            flag("", "verify", "Compute the result here too, and fail if the server's result differs."),
            flag("", "no-history", "Do not read or write the prompt's history."),
            flag("q", "quiet", "Print the number alone, and no notes."),
            flag(
                "v",
                "verbose",
                "Draw the exchange on stderr: what is sent, what arrives, what is ignored and why, each datagram taken \
                 apart. In colours on a terminal, unless NO_COLOR is set.",
            ),
            flag("h", "help", "Print this help."),
            flag("V", "version", "Print the version."),
        ],
    },
];

/// Every option, in the order of the help.
pub fn all() -> impl Iterator<Item = &'static Spec> {
    GROUPS.iter().flat_map(|group| group.options)
}

/// The option that a word names: `-op`, `--op`, `-s`, …
pub fn named(word: &str) -> Option<&'static Spec> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    all().find(|spec| spec.long == name || (!spec.short.is_empty() && spec.short == name))
}

/// The parser of [prepared](super::arguments::prepare) words.
pub fn parser() -> Options {
    getopts_of(all())
}

/// What `--help` prints.
pub fn help() -> String {
    let mut text = String::from(USAGE);
    for group in GROUPS {
        let lines = getopts_of(group.options.iter())
            .usage_with_format(|lines| lines.map(|line| format!("{}\n", line.trim_end())).collect::<String>());
        text.push_str(&format!("\n{}:\n{lines}", group.title));
    }
    text.push_str(EPILOGUE);
    text
}

const USAGE: &str = "\
Usage: client [OPTION]... -op OPERATOR HOST PORT INTEGER...
       client [OPTION]... -op OPERATOR HOST PORT -
       client [OPTION]... {-e EXPRESSION | -i | --describe} HOST PORT
       client [OPTION]... -op OPERATOR --local INTEGER...

Asks a calculator server over UDP and prints the result. HOST is an IPv6
address, one with a zone (fe80::1%eth0), an IPv4 address or a name; PORT is a
number or the name of a service. HOST:PORT and [ADDRESS]:PORT are understood
too. Options may stand anywhere, with one dash or two; a dash and a digit start
a negative integer. Integers are decimal, or start with 0x, 0o or 0b; _ may
stand between digits.
";

const EPILOGUE: &str = "
Examples:
  client -op + ::1 10000 1 3 5 7 9             Result: 25
  client -op '*' -s ::1 10000 1 3 5 7 9        Result: 945
  client -op - ::1 10000 3 -5                  Result: 8
  client -op gcd -q localhost 10000 12 18      6
  client -e '(1+3)*5 - 2^10' ::1 10000         Result: -1004
  client -op + --file numbers.txt ::1 10000    the sum of a file
  seq 1000000 | client -op + ::1 10000 -       the sum of a pipe
  client --local -op ^ 2 4000                  the 1,205 digits

Exit status: 0 if there is a result, 1 if the server or the network gives none,
2 if the command line or an operand cannot be read.
";

fn getopts_of<'a>(specs: impl Iterator<Item = &'a Spec>) -> Options {
    let mut options = Options::new();
    for spec in specs {
        let (hint, has_arg) = match spec.value {
            Some(value) => (value.placeholder(), HasArg::Yes),
            None => ("", HasArg::No),
        };
        let occur = if spec.many { Occur::Multi } else { Occur::Optional };
        options.opt(spec.short, spec.long, spec.help, hint, has_arg, occur);
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_option() {
        let help = help();
        for spec in all() {
            assert!(help.contains(&format!("--{}", spec.long)), "{}", spec.long);
        }
    }
}
