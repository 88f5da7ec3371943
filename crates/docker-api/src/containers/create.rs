//! `POST /containers/create`

use engine::NewContainer;
use engine::images::registry::Platform;
use http::StatusCode;
use model::{ContainerReference, ContainerSettings, Digest};

use super::without_effect;
use crate::container_settings::from_wire;
use crate::images::{check_end, failure, platform};
use crate::wire::CreateAnswer;
use crate::{ApiError, Call, Handled, Reply};

pub(super) async fn create(mut call: Call<'_>) -> Handled {
    let body = call.json_body().await?;
    let mut settings = from_wire(call.version, &body)?;
    if call.version.create_checks_the_log() {
        call.engine.containers.check_log(&settings.host.log)?;
    }
    if call.version.refusals_have_words_of_today() {
        check_joined(&call, &settings)?;
    }
    if call.version.create_shows_swap() {
        write_swap(&mut settings);
    }
    check_end(&settings.image, call.version)?;
    let image = image_for_platform(&call, &settings.image)?;
    let more = without_effect::warnings(&settings, call.version);
    without_effect::drop_fields(&mut settings, call.version);
    let name = call.query.filled("name").map(str::to_owned);
    let new = NewContainer { name, settings, image, ..NewContainer::default() };
    let mut created = call.engine.containers.create(new).await?;
    created.warnings.extend(more);
    if call.version.create_has_a_platform() && call.query.filled("platform").is_none() {
        created.warnings.extend(foreign_platform(&created.platform));
    }
    let is_list = call.version.create_has_empty_warnings() || !created.warnings.is_empty();
    let warnings = is_list.then_some(created.warnings);
    Reply::json(StatusCode::CREATED, &CreateAnswer { id: created.id.to_string(), warnings })
}

/// Makes the default swap beside a memory limit explicit, so that an update of the memory leaves it.
const fn write_swap(settings: &mut ContainerSettings) {
    let limits = &mut settings.host.resources;
    if limits.memory > 0 && limits.memory_swap == 0 {
        limits.memory_swap = limits.memory.saturating_mul(2);
    }
}

/// Containers whose namespaces are to be joined must exist, except for the network, which may be made later.
fn check_joined(call: &Call<'_>, settings: &ContainerSettings) -> Result<(), ApiError> {
    let host = &settings.host;
    let joined = [host.ipc_mode.joined(), host.pid_mode.joined()].into_iter().flatten();
    for other in joined.map(ContainerReference::as_str).filter(|other| !other.is_empty()) {
        if call.engine.containers.find(other).is_err() {
            return Err(ApiError::bad_request(format!("No such container: {other}")));
        }
    }
    Ok(())
}

/// The image of a name for the platform that the query names. One that is not there, create itself refuses.
fn image_for_platform(call: &Call<'_>, name: &str) -> Result<Option<Digest>, ApiError> {
    let wanted = if call.version.create_has_a_platform() { platform::asked_in_words(call)? } else { None };
    if wanted.is_none() {
        return Ok(None);
    }
    match call.engine.images.store().resolve_for(name, wanted.as_ref()) {
        Ok(image) => Ok(Some(image.id)),
        Err(error @ engine::images::Error::NoPlatform { .. }) => Err(failure(error)),
        Err(_) => Ok(None),
    }
}

/// The warning about an image for another platform if none was requested.
fn foreign_platform(own: &Platform) -> Option<String> {
    let host = Platform::host();
    let is_known = !own.os.is_empty() && !own.architecture.is_empty();
    (is_known && !host.may_run(own)).then(|| {
        format!(
            "The requested image's platform ({own}) does not match the detected host platform ({host}) and no specific \
             platform was requested"
        )
    })
}
