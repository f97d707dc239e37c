//! A document that is the body itself, as the web service sends it; an error object may stand in its place.

use bytes::{Bytes, BytesMut};

use super::refusal::{self, Asked};
use crate::connector::{ConnectorError, Download};
use crate::content::{PlatformError, platform_error};
use crate::http::{Answer, Body, HttpError};

/// The document of an answer with status 200, whose `head` was read.
///
/// # Errors
/// What an error object in its place means (it can come with status 200), or how the transfer broke.
pub(super) async fn download(mut answer: Answer, head: Option<Bytes>) -> Result<Download, ConnectorError> {
    let length = answer.length();
    if !head.as_ref().is_some_and(|head| may_be_json(head)) {
        return Ok(Download::plain(head, answer.body, length));
    }
    let (head, whole) = read_ahead(head, &mut answer.body).await?;
    match platform_error(&head).filter(|_| whole) {
        Some(error) if !is_left_to_intake(&error) => Err(refusal::of_platform_error(&error, 200, Asked::Document)),
        _ => Ok(Download::plain(Some(head), answer.body, length)),
    }
}

/// A document that came in another form than asked for cannot be kept as what the platform sent.
///
/// # Errors
/// [`ConnectorError::Broken`]: the platform may count it as collected, it is in doubt as if its transfer had broken.
pub(super) fn uncoded(answer: &Answer) -> Result<(), ConnectorError> {
    let Some(coding) = answer.content_encoding() else { return Ok(()) };
    let detail = format!("the answer came with content coding «{coding}», which was not asked for");
    Err(ConnectorError::Broken { detail })
}

fn may_be_json(head: &[u8]) -> bool {
    head.iter().find(|byte| !byte.is_ascii_whitespace()).is_none_or(|&byte| byte == b'{')
}

/// An error object that neither denies the document nor us is set aside by the intake, like any body that is no return.
fn is_left_to_intake(error: &PlatformError) -> bool {
    matches!(refusal::of_platform_error(error, 200, Asked::Document), ConnectorError::Answered { .. })
}

/// Up to [`refusal::READ`] bytes of the body, and whether that is all of it.
async fn read_ahead(head: Option<Bytes>, body: &mut Body) -> Result<(Bytes, bool), HttpError> {
    let mut read = BytesMut::from(head.as_deref().unwrap_or_default());
    while read.len() < refusal::READ {
        match body.next().await? {
            Some(chunk) => read.extend_from_slice(&chunk),
            None => return Ok((read.freeze(), true)),
        }
    }
    Ok((read.freeze(), false))
}
