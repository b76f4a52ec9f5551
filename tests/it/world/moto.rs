//! A stand-in for AWS KMS.

#[path = "../../needs/moto.rs"]
mod server;

use self::server::MotoServer;

/// A running server; it is stopped on drop.
pub(crate) struct Moto(MotoServer);

impl Moto {
    pub(crate) fn start(program: &str) -> Self {
        Self(MotoServer::start(program))
    }

    /// The address of the server itself.
    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// Creates a KMS key and returns its ARN.
    async fn make_key(&self) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client
            .post(self.url())
            .header("content-type", "application/x-amz-json-1.1")
            .body("{}");
        let credential = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20200101/eu-west-1/kms/aws4_request, SignedHeaders=host, Signature=0";
        let request = request
            .header("x-amz-target", "TrentService.CreateKey")
            .header("authorization", credential);
        let answer: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
        answer["KeyMetadata"]["Arn"]
            .as_str()
            .unwrap_or_else(|| panic!("no key: {answer}"))
            .to_owned()
    }

    /// Returns `[custody.aws_kms]` with a new key, for this address.
    pub(crate) async fn lines(&self, endpoint: &str) -> String {
        format!(
            "[custody.aws_kms]\nkey_id = \"{}\"\nregion = \"eu-west-1\"\nendpoint = \"{endpoint}\"\naccess_key_id = \"AKIDEXAMPLE\"\n\
             secret_access_key = \"secret\"\n",
            self.make_key().await
        )
    }
}
