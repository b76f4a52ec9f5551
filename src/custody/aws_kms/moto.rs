//! A stand-in for AWS KMS: `moto_server`, on a port of its own, for the duration of a test.

use super::{super::settings::AwsKmsSettings, KmsCustody};
use crate::{moto::MotoServer, needs, secret::SecretText};

/// A running server; it is stopped on drop.
pub(super) struct Moto {
    server: Option<MotoServer>,
    pub(super) url: String,
}

impl Moto {
    /// Starts a server.
    pub(super) fn start() -> Self {
        let server = MotoServer::start(&needs::required("RECVAULT_TEST_MOTO"));
        let url = server.url.clone();
        Self {
            server: Some(server),
            url,
        }
    }

    /// Stops the server before its time.
    pub(super) fn stop(&mut self) {
        self.server = None;
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
