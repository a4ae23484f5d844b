//! A request that is refused. Every cause ends here, and every refusal is a problem.

use contracts::Problem;
use tonic::Status;

/// Why a request is not served. Boxed, because a problem is far larger than a usual answer.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Problem>);

impl Refusal {
    /// The problem.
    #[cfg(test)]
    pub(crate) fn problem(&self) -> &Problem {
        &self.0
    }

    /// The problem itself.
    pub(crate) fn into_problem(self) -> Problem {
        *self.0
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        rpc::problem(&status).into()
    }
}
