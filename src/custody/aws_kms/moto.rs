//! A stand-in for AWS KMS: `moto_server`, on a port of its own, for the duration of a test.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use super::{super::settings::AwsKmsSettings, KmsCustody};
use crate::{needs, secret::SecretText};

/// A running server; it is stopped on drop.
pub(super) struct Moto {
    process: Child,
    pub(super) url: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Moto {
    /// Starts a server.
    pub(super) fn start() -> Self {
        let mut command = Command::new(needs::required("RECVAULT_TEST_MOTO"));
        command
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let url = lines
            .find_map(|line| Some(line.unwrap().split_once("Running on ")?.1.trim().to_owned()))
            .unwrap();
        // The server writes a line for each request, and would block if nobody read it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url }
    }

    pub(super) fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    pub(super) fn settings(&self, key_id: &str) -> AwsKmsSettings {
        AwsKmsSettings {
            key_id: key_id.into(),
            region: "eu-west-1".into(),
            endpoint: Some(self.url.clone()),
            access_key_id: Some("AKIDEXAMPLE".into()),
            secret_access_key: Some(SecretText::new("secret".into())),
            ..AwsKmsSettings::default()
        }
    }

    /// Makes a KMS key and returns its ARN.
    pub(super) async fn make_key(&self) -> String {
        let somebody =
            KmsCustody::new(self.settings("none"), std::path::Path::new("/nowhere")).unwrap();
        let made = somebody
            .service
            .client()
            .await
            .create_key()
            .send()
            .await
            .unwrap();
        made.key_metadata.unwrap().arn.unwrap()
    }

    /// Resets the server, including its keys.
    pub(super) async fn forget(&self) {
        let client = reqwest::Client::builder().build().unwrap();
        let answer = client
            .post(format!("{}/moto-api/reset", self.url))
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success());
    }
}
