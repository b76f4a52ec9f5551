//! A stand-in for AWS KMS.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

/// `moto_server`, on its own port; it ends on drop.
pub(crate) struct Moto {
    process: Child,
    pub(crate) url: String,
}

impl Moto {
    pub(crate) fn start(program: &str) -> Self {
        let mut command = Command::new(program);
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
        // It writes a line for each request, and would block if its output were not read.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url }
    }

    /// Creates a KMS key and returns its ARN.
    async fn make_key(&self) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client
            .post(&self.url)
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

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
