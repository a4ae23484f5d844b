//! What a running process tells of itself: logs, metrics, traces, and the tasks it consists of.
//!
//! [`logs`] writes for people on a terminal and JSON otherwise. [`Metrics`] is a registry that renders
//! OpenMetrics text. [`trace`] tells of each step of a piece of work to a collector. [`Tasks`] is the supervised set of tasks that a shutdown waits for.

mod families;
pub mod logs;
mod metrics;
mod tasks;
pub mod trace;

pub use families::{Family, Seconds, Sizes};
pub use metrics::{Metrics, cpu_micros, resident_bytes};
pub use tasks::Tasks;
