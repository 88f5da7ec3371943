//! The client's policy for the sources of a build: each is judged by the client's session before it is used.

use std::sync::Arc;

use engine::builder::{JudgedSource, SourcePolicy, StepError, Verdict};
use engine::images::registry::Platform;

use super::remote::Remote;
use crate::grpc::{Code, Status};
use crate::session::Session;
use buildkit_messages::operations::{Platform as SourcePlatform, Source};
use buildkit_messages::policy::{
    CheckPolicyRequest, Decision, ImageDescription, PolicyAction, SourceDescription, SourceQuestion,
};

/// The policy of a session.
#[derive(Clone)]
pub(super) struct SessionPolicy {
    /// The session that judges, which may be another one than that of the build.
    session: Arc<Session>,
    remote: Remote,
}

impl SessionPolicy {
    pub(super) const fn new(session: Arc<Session>, remote: Remote) -> Self {
        Self { session, remote }
    }

    /// Has a source judged that is not for blocking work.
    ///
    /// # Errors
    /// `PermissionDenied` for one that is denied.
    pub(super) async fn admit(&self, identifier: &str) -> Result<(), Status> {
        admit(&self.session, identifier).await
    }
}

/// Has a session judge a source that no other can take the place of.
///
/// # Errors
/// `PermissionDenied` for one that is denied.
pub(super) async fn admit(session: &Session, identifier: &str) -> Result<(), Status> {
    let source = JudgedSource { identifier: identifier.to_owned(), ..JudgedSource::default() };
    match judge(session, &source).await? {
        Verdict::Allowed => Ok(()),
        Verdict::Replaced(_) | Verdict::NeedsImage => Err(unsupported(identifier)),
    }
}

impl SourcePolicy for SessionPolicy {
    fn judge(&self, source: &JudgedSource) -> Result<Verdict, StepError> {
        self.remote.ask(judge(&self.session, source))
    }
}

async fn judge(session: &Session, source: &JudgedSource) -> Result<Verdict, Status> {
    let JudgedSource { identifier, attributes, platform, image } = source.clone();
    let Platform { architecture, os, variant } = platform.unwrap_or_else(Platform::host);
    let description = SourceDescription {
        source: Some(Source { identifier, attributes }),
        image: image.map(|image| ImageDescription { digest: image.digest, config: image.config }),
    };
    let request = CheckPolicyRequest {
        platform: Some(SourcePlatform { architecture, os, variant }),
        source: Some(description),
    };
    let answer = session.judge(&request).await?;
    match (answer.decision, answer.request) {
        (Some(decision), _) => verdict(&source.identifier, decision),
        (None, Some(question)) => need(source, &question),
        (None, None) => Err(Status::invalid("the client's policy decides nothing")),
    }
}

fn verdict(identifier: &str, decision: Decision) -> Result<Verdict, Status> {
    match PolicyAction::try_from(decision.action) {
        Ok(PolicyAction::Allow) => Ok(Verdict::Allowed),
        Ok(PolicyAction::Convert) => {
            let update = decision.update.ok_or_else(|| unsupported(identifier))?;
            if update.identifier == identifier {
                Err(unsupported(identifier))
            } else {
                Ok(Verdict::Replaced(update.identifier))
            }
        }
        Ok(PolicyAction::Deny) | Err(_) => {
            let messages: Vec<_> = decision.messages.iter().map(|message| message.message.as_str()).collect();
            let why = if messages.is_empty() { String::new() } else { format!(": {}", messages.join("; ")) };
            let text = format!("source {identifier:?} is not allowed by the client's policy{why}");
            Err(Status::new(Code::PermissionDenied, text))
        }
    }
}

/// What the client needs before it decides; after a full description of a source there is nothing more.
fn need(source: &JudgedSource, question: &SourceQuestion) -> Result<Verdict, Status> {
    let image = question.image.clone().unwrap_or_default();
    let is_image = question.image.is_some() && question.git.is_none() && question.http.is_none();
    if !is_image || image.attestation_chain || !image.attestations.is_empty() || source.image.is_some() {
        return Err(unsupported(&source.identifier));
    }
    Ok(Verdict::NeedsImage)
}

fn unsupported(identifier: &str) -> Status {
    Status::unimplemented(format!(
        "the client's policy changes the source {identifier:?}, or asks for its signatures, its commit or its checksum: \
         that is not supported; buildx builds without a policy when told --policy disabled=true"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildkit_messages::operations::Source;
    use buildkit_messages::policy::{DenyMessage, ImageQuestion};

    fn decision(action: PolicyAction) -> Decision {
        Decision { action: action.into(), ..Decision::default() }
    }

    #[test]
    fn decisions_are_read() {
        assert_eq!(verdict("a", decision(PolicyAction::Allow)).expect("a verdict"), Verdict::Allowed);
        let messages = vec![DenyMessage { message: "not signed".to_owned() }];
        let refusal =
            verdict("a", Decision { messages, ..decision(PolicyAction::Deny) }).expect_err("denied");
        assert_eq!(refusal.code, Code::PermissionDenied);
        assert_eq!(refusal.message, "source \"a\" is not allowed by the client's policy: not signed");
        assert_eq!(
            verdict("a", Decision { action: 7, ..Decision::default() }).expect_err("denied").code,
            refusal.code
        );
        let update = |identifier: &str| {
            let update = Some(Source { identifier: identifier.to_owned(), ..Source::default() });
            verdict("a", Decision { update, ..decision(PolicyAction::Convert) })
        };
        assert_eq!(update("b").expect("a verdict"), Verdict::Replaced("b".to_owned()));
        assert_eq!(update("a").expect_err("the same").code, Code::Unimplemented);
    }

    #[test]
    fn only_images_are_described() {
        let source = JudgedSource { identifier: "docker-image://a".to_owned(), ..JudgedSource::default() };
        let image = SourceQuestion { image: Some(ImageQuestion::default()), ..SourceQuestion::default() };
        assert_eq!(need(&source, &image).expect("a verdict"), Verdict::NeedsImage);
        let signed = ImageQuestion { attestation_chain: true, ..ImageQuestion::default() };
        for question in [
            SourceQuestion { image: Some(signed), ..SourceQuestion::default() },
            SourceQuestion { http: Some(Vec::new()), ..image },
            SourceQuestion::default(),
        ] {
            assert_eq!(need(&source, &question).expect_err("too much").code, Code::Unimplemented);
        }
    }
}
