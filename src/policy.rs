//! The policy document, rules, facts, decisions and grants. Pure: now is an argument.
