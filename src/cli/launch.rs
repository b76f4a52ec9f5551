//! What a process sets for itself before it does anything: no core dumps, files for its user only,
//! and as many of them as the system allows.

use rustix::{
    fs::Mode,
    process::{
        DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
    },
};

use super::out;

/// Sets all of it. What the system refuses is a warning.
pub(super) fn prepare() {
    // Only this user may read what the process creates: databases, copies, secrets, logs.
    umask(Mode::RWXG | Mode::RWXO);
    no_core_dumps();
    as_many_files_as_allowed();
}

/// Keys must not end up in a core file, nor be read by a debugger of the same user.
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

/// A connection is a file, and the limit that a shell or an init system sets at first is one for
/// programs of long ago.
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
