//! `recvault init`: creates a vault folder that is ready for use.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{App, Error, NewStores};
use crate::{
    config::{self, Config, SHIPPED_POLICY, Setting},
    custody,
    db::{Db, keys},
    flow::{self, Minted},
    model::{
        id::VaultId,
        time::{Clock, Timestamp},
    },
    secret::{Token, TokenKind},
    store::{Store, StoreSettings},
    vault::{self, Vault},
};

/// The result of `init`.
pub struct Initialised {
    /// The vault's id.
    pub vault: VaultId,
    /// The configuration file.
    pub config: PathBuf,
    /// The passphrase file, if `init` chose a passphrase.
    pub passphrase: Option<PathBuf>,
    /// A first token with every role of the policy.
    pub admin: Minted,
    /// The time of creation.
    pub at: Timestamp,
}

/// The lifetime of the first token.
const ADMIN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The location of a new vault, and the settings of its configuration.
#[derive(Clone, Debug)]
pub struct InitPlan {
    /// The configuration file. Relative paths in it start at its folder.
    pub config: PathBuf,
    /// Settings that replace the shipped values in a new configuration file.
    pub settings: Vec<Setting>,
}

impl InitPlan {
    /// Plans a vault folder with the shipped settings.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            config: folder.join("recvault.toml"),
            settings: Vec::new(),
        }
    }
}

/// Creates a vault in the folder of its configuration file. Existing files are used as they are. An
/// existing vault is never replaced, nor one whose database is lost.
///
/// # Errors
/// [`Error::ConfigExists`]; [`vault::Error::VaultExists`] or [`vault::Error::LostDatabase`] inside;
/// or the part that could not be created.
pub async fn init(plan: &InitPlan, clock: Clock) -> Result<Initialised, Error> {
    let io = |what: &Path| {
        let what = format!("`{}`", what.display());
        move |cause: io::Error| Error::Io { what, cause }
    };
    let file = &plan.config;
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let shipped = config::shipped_with(&plan.settings);
    // A repeated command after a failure continues.
    let there = fs::read_to_string(file).ok();
    let is_other = there.as_ref().is_some_and(|there| *there != shipped);
    if is_other && !plan.settings.is_empty() {
        return Err(Error::ConfigExists(file.clone()));
    }
    let name = file.display().to_string();
    Config::layered(&name, &shipped, folder, Vec::new())?;
    // Before anything is written: a wrong URL would otherwise stay in the configuration.
    let planned = Config::of_text(&name, there.as_deref().unwrap_or(&shipped), folder)?;
    // Paths in it may begin in the folder.
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|above| !above.as_os_str().is_empty() && !above.exists())
        .collect();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(io(folder))?;
    if let Err(error) = try_places(&planned).await {
        for folder in missing {
            // Only an empty one can be removed.
            let _ = fs::remove_dir(folder);
        }
        return Err(error);
    }
    // The URL of a database may contain a password.
    write_if_missing(file, &shipped, 0o600).map_err(io(file))?;
    let config = Config::read(file)?;
    let policy = folder.join(&config.policy.file);
    write_if_missing(&policy, SHIPPED_POLICY, 0o644).map_err(io(&policy))?;

    let chosen = choose_passphrase(&config.custody, folder)?;
    let app = App::open_with(config, clock, NewStores::All).await?;
    let rules = app.rules()?;
    if app.db.is_new().await? {
        vault::check_unused(&app.store, &app.recovery).await?;
    }
    // Checked before there is a vault that could not store anything.
    app.store.check_permissions().await?;
    let vault = Vault::create(&app.db, app.custody.as_ref(), &app.clock).await?;
    let roles = rules
        .document()
        .roles
        .iter()
        .map(|(role, _)| role.clone())
        .collect();
    let label = "first token, made by init"
        .parse()
        .expect("it is one short line");
    let wanted = flow::NewToken {
        roles,
        ..flow::NewToken::new(label, ADMIN_LIFETIME)
    };
    let unlocked = app.unlock().await?;
    let admin = flow::mint_token(&app.db, &app.clock, wanted).await?;
    flow::put_in_force(&app.db, &unlocked, &rules).await?;
    // From the first moment the store and custody alone can rebuild the vault.
    unlocked.snapshot().await?;
    // Another `init` may have chosen the same store meanwhile.
    unlocked.check_alone().await?;
    app.db.close().await;
    Ok(Initialised {
        vault,
        config: file.clone(),
        passphrase: chosen,
        admin,
        at: app.clock.now(),
    })
}

/// Checks that database and stores can be used, and belong to no vault, without creating anything
/// in the file system.
async fn try_places(config: &Config) -> Result<(), Error> {
    let store = try_store(&config.store, config).await?;
    let recovery = match &config.recovery.store {
        Some(settings) => try_store(settings, config).await?,
        None => store.clone(),
    };
    if config.database.may_exist(&config.base) {
        let db = Db::open(&config.database, &config.base).await?;
        let vault = keys::vault_id(&mut db.read().await?).await?;
        db.close().await;
        if let Some(vault) = vault {
            return Err(vault::Error::VaultExists(vault).into());
        }
    } else if let Some(file) = config.database.file(&config.base) {
        let parent = file.parent().unwrap_or(&config.base);
        if !parent.is_dir() {
            let what = format!("`database.url`: the folder `{}`", parent.display());
            let cause = io::ErrorKind::NotFound.into();
            return Err(Error::Io { what, cause });
        }
    }
    if let (Some(store), Some(recovery)) = (store, recovery) {
        vault::check_unused(&store, &recovery).await?;
    }
    Ok(())
}

/// Opens a store that is there; `None` for a folder that is to be created.
async fn try_store(settings: &StoreSettings, config: &Config) -> Result<Option<Store>, Error> {
    if let Some(place) = settings.folder(&config.base)
        && !place.exists()
    {
        let mut above = place.ancestors().skip(1);
        let nearest = above.find(|above| above.exists());
        if let Some(file) = nearest.filter(|nearest| nearest.is_file()) {
            let what = format!("`store.url`: `{}`", file.display());
            let cause = io::ErrorKind::NotADirectory.into();
            return Err(Error::Io { what, cause });
        }
        return Ok(None);
    }
    let store = Store::open(settings, &config.base)?;
    store.check_permissions().await?;
    Ok(Some(store))
}

/// Writes a random passphrase into the configured file, unless there is one already.
fn choose_passphrase(
    custody: &custody::CustodySettings,
    folder: &Path,
) -> Result<Option<PathBuf>, Error> {
    let is_wanted =
        custody.kind == custody::CustodyKind::Passphrase && custody.passphrase.is_none();
    let Some(file) = custody.passphrase_file.as_deref().filter(|_| is_wanted) else {
        return Ok(None);
    };
    let path = folder.join(file);
    if path.exists() {
        return Ok(None);
    }
    let io = |cause| Error::Io {
        what: format!("`{}`", path.display()),
        cause,
    };
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(io)?;
    }
    let passphrase = Token::random(TokenKind::Bearer, &mut rand::rng());
    let text = passphrase.expose().trim_start_matches("rvt_");
    write_if_missing(&path, text, 0o600).map_err(io)?;
    Ok(Some(path))
}

/// Writes a whole file unless it exists, so that another `init` in the same folder never reads a
/// partial file.
fn write_if_missing(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    // A unique name, even if two machines share the folder and assign the same process ids.
    let half = path.with_added_extension(format!("new-{:016x}", rand::random::<u64>()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // A hard link fails where a rename would replace the file.
    let linked = fs::hard_link(&half, path);
    fs::remove_file(&half)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}
