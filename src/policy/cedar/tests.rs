//! What is compiled can be read by Cedar, and conditions are what they say.
