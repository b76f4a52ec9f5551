//! The audit log's rows.

use super::{
    Error,
    tx::{Arg, Tx},
};
use crate::{evidence::entry::{Entry, NewEntry}, model::time::Timestamp};
