//! The parser of telephone numbers against Google's libphonenumber, in Python.

use std::process::Command;

use recvault::model::subject::Address;

use crate::needs;

#[test]
#[ignore = "needs a Python with the `phonenumbers` package: run `tests/run`"]
fn every_example_number_of_every_country_is_read_as_google_reads_it() {
    let python = needs::required("RECVAULT_TEST_PHONENUMBERS");
    let output = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/binary/example_numbers.py"
        ))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let mut count = 0;
    let mut wrong = Vec::new();
    for (spelling, e164) in text.lines().filter_map(|line| line.split_once('\t')) {
        count += 1;
        let read = Address::parse(spelling).ok();
        let again = read
            .as_ref()
            .and_then(|read| Address::parse(read.expose()).ok());
        let same = |address: &Option<Address>| {
            address
                .as_ref()
                .is_some_and(|address| address.expose() == e164)
        };
        if !same(&read) || !same(&again) {
            wrong.push(format!(
                "{spelling} {e164} {:?}",
                read.map(|read| read.expose().to_owned())
            ));
        }
    }
    assert!(count > 2000, "{count}");
    assert_eq!(wrong, Vec::<String>::new(), "{} of {count}", wrong.len());
}
