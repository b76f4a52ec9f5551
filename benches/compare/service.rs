//! The service under test: the binary of this build in a process of its own, with its own vault
//! folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use recvault::{
    app::{self, App},
    config::Config,
    db::{self, Db, recordings},
    model::{recording::RecordingState, sid::AccountSid, time::Clock},
};

use super::{Failure, cast, peers};

/// The auth token of the one account.
pub(crate) const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A vault folder, made by `recvault init`.
pub(crate) struct Home {
    pub(crate) folder: PathBuf,
    /// A bearer token with every role.
    pub(crate) token: String,
}

/// A running service in a home.
pub(crate) struct Service {
    pub(crate) port: u16,
    running: peers::Running,
}

impl Home {
    pub(crate) async fn make(folder: PathBuf) -> Result<Self, Failure> {
        let made = app::init(&app::InitPlan::in_folder(&folder), Clock::System).await?;
        Ok(Self {
            folder,
            token: made.admin.token.expose().to_owned(),
        })
    }

    pub(crate) fn account() -> Result<AccountSid, Failure> {
        Ok(cast::ACCOUNT.parse()?)
    }

    /// Opens the home in this process.
    pub(crate) async fn app(&self) -> Result<App, Failure> {
        Ok(App::open(
            Config::read(&self.folder.join("recvault.toml"))?,
            Clock::System,
        )
        .await?)
    }

    /// Starts the service with the shipped configuration, apart from its address, its source and
    /// the concurrency.
    pub(crate) async fn serve(
        &self,
        api_base: &str,
        at_once: Option<u16>,
    ) -> Result<Service, Failure> {
        let port = peers::free_port()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_recvault"));
        command
            .arg("serve")
            .arg("--config")
            .arg(self.folder.join("recvault.toml"));
        command.env("RECVAULT__SERVER__LISTEN", format!("127.0.0.1:{port}"));
        command.env(
            "RECVAULT__SERVER__PUBLIC_URL",
            format!("http://127.0.0.1:{port}"),
        );
        command.env("RECVAULT__SERVER__METRICS_LISTEN", "127.0.0.1:0");
        command.env("RECVAULT__TELEMETRY__LEVEL", "error");
        command.env("RECVAULT__TWILIO__API_BASE", api_base);
        // The participants of each recording are requested; the shipped rate limit only protects
        // Twilio.
        command.env("RECVAULT__TWILIO__REQUESTS_PER_S", "1000");
        command.env("RECVAULT__TWILIO__INTELLIGENCE_BASE", api_base);
        let account = format!(
            "[{{ sid = \"{}\", auth_tokens = [\"{AUTH_TOKEN}\"] }}]",
            cast::ACCOUNT
        );
        command.env("RECVAULT__TWILIO__ACCOUNTS", account);
        if let Some(at_once) = at_once {
            command.env("RECVAULT__WORK__CONCURRENCY", at_once.to_string());
        }
        let running = peers::start(&mut command, port, "/readyz").await?;
        Ok(Service { port, running })
    }

    /// Opens the database for reading, beside the running service.
    pub(crate) async fn db(&self) -> Result<Db, Failure> {
        let settings = db::DatabaseSettings {
            connections: 1,
            ..Default::default()
        };
        Ok(Db::open(&settings, &self.folder).await?)
    }
}

/// Counts the recordings in a state.
pub(crate) async fn count(db: &Db, state: RecordingState) -> Result<u64, Failure> {
    let counts = recordings::count_by_state(&mut db.read().await?).await?;
    let count = counts
        .iter()
        .find(|(other, _)| *other == state)
        .map_or(0, |(_, count)| *count);
    Ok(u64::try_from(count)?)
}

impl Service {
    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Reads a line of `/proc/PID/status`, in KiB: `VmRSS` for the present memory, `VmHWM` for the
    /// peak since the last [`Self::forget_peak`].
    pub(crate) fn memory(&self, line: &str) -> Result<u64, Failure> {
        let status = fs::read_to_string(
            Path::new("/proc")
                .join(self.running.id().to_string())
                .join("status"),
        )?;
        let found = status.lines().find_map(|text| {
            text.strip_prefix(line)?
                .strip_prefix(':')?
                .trim()
                .strip_suffix("kB")
        });
        Ok(found
            .ok_or("the system does not tell how much memory a process has")?
            .trim()
            .parse()?)
    }

    /// Resets the peak of memory (proc(5), `clear_refs`).
    pub(crate) fn forget_peak(&self) -> Result<(), Failure> {
        Ok(fs::write(
            Path::new("/proc")
                .join(self.running.id().to_string())
                .join("clear_refs"),
            "5",
        )?)
    }

    pub(crate) fn stop(self) -> Result<(), Failure> {
        self.running.stop()
    }
}
