//! The process's own settings before any work: no core dumps, private files, and as many open files
//! as the system allows.

use rustix::{
    fs::Mode,
    process::{
        DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
    },
};

use super::out;

/// Applies all settings. A setting that the system refuses is a warning.
pub(super) fn prepare() {
    // Only this user may read what the process creates: databases, copies, secrets, logs.
    umask(Mode::RWXG | Mode::RWXO);
    no_core_dumps();
    as_many_files_as_allowed();
}

/// Keeps keys out of core files and away from debuggers of the same user.
fn no_core_dumps() {
    let limited = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
    let undumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if limited.is_err() || undumpable.is_err() {
        out::warn("core dumps cannot be disabled; keys may reach a core file");
    }
}

/// Raises the limit on open files: each connection is a file, and the initial limit of a shell or
/// an init system is too low for a service.
fn as_many_files_as_allowed() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if current != maximum && setrlimit(Resource::Nofile, raised).is_err() {
        out::warn("the limit on open files cannot be raised; set `LimitNOFILE=` or `ulimit -n`");
    }
}
