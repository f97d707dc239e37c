//! Trying again what may be tried again: the only file that knows the crate `backoff`.

use std::future::Future;
use std::time::Duration;

use backoff::ExponentialBackoff;

use super::HttpError;

/// Total time spent on trying again: a network that is down for longer is the next poll's affair.
const PATIENCE: Duration = Duration::from_secs(8);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Repeats `request` while its connection could not be opened: nothing has been asked of the platform then.
/// Any other failure, and any answer, is final.
///
/// # Errors
/// The last failure.
pub async fn until_connected<T, F, Fut>(mut request: F) -> Result<T, HttpError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, HttpError>>,
{
    let pauses = ExponentialBackoff {
        initial_interval: FIRST_PAUSE,
        max_interval: LONGEST_PAUSE,
        max_elapsed_time: Some(PATIENCE),
        ..ExponentialBackoff::default()
    };
    backoff::future::retry(pauses, || {
        let attempt = request();
        async {
            attempt.await.map_err(|error| {
                if error.never_left() { backoff::Error::transient(error) } else { backoff::Error::permanent(error) }
            })
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn failure(left: bool) -> HttpError {
        let (host, detail) = ("host".to_owned(), "x".to_owned());
        if left { HttpError::Broken { host, bytes: 0, detail } } else { HttpError::Unreachable { host, detail } }
    }

    #[tokio::test]
    async fn a_request_that_left_is_never_given_again() {
        let tries = Cell::new(0);
        let outcome: Result<(), _> = until_connected(|| {
            tries.set(tries.get() + 1);
            async { Err(failure(true)) }
        })
        .await;
        assert!(outcome.is_err());
        assert_eq!(tries.get(), 1);
    }

    #[tokio::test]
    async fn a_connection_that_did_not_open_is_tried_again() {
        let tries = Cell::new(0);
        let outcome = until_connected(|| {
            tries.set(tries.get() + 1);
            let tries = tries.get();
            async move { if tries < 2 { Err(failure(false)) } else { Ok(tries) } }
        })
        .await;
        assert_eq!(outcome.unwrap(), 2);
    }
}
