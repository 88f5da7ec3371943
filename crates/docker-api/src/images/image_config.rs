//! `Config` of an image as each version shows it: what its containers start with.

use serde::Serialize;
use serde_json::Value;

use crate::json;
use crate::version::ApiVersion;

/// Fields that only a container's own config has a use for.
const OF_CONTAINERS: [&str; 14] = [
    "AttachStderr",
    "AttachStdin",
    "AttachStdout",
    "Domainname",
    "Hostname",
    "Image",
    "MacAddress",
    "NetworkDisabled",
    "OpenStdin",
    "PublishService",
    "StdinOnce",
    "StopTimeout",
    "Tty",
    "VolumeDriver",
];

/// The config of an image in the form of this version.
pub(super) fn shown(config: &impl Serialize, version: ApiVersion) -> Value {
    // A config has string keys only, so that it can be written.
    let mut shown = serde_json::to_value(config).unwrap_or_default();
    let Some(fields) = shown.as_object_mut() else { return shown };
    if version.image_config_is_of_images() {
        fields.retain(|name, _| !OF_CONTAINERS.contains(&name.as_str()));
    } else if version.image_config_has_no_values_of_containers() {
        for name in OF_CONTAINERS {
            match fields.get_mut(name) {
                Some(Value::String(text)) => text.clear(),
                Some(Value::Bool(truth)) => *truth = false,
                _ => {}
            }
        }
    }
    if version.image_config_leaves_out_what_is_empty() {
        fields.retain(|_, value| !json::is_empty(value));
    }
    shown
}

/// The config of an image with the one field that no container has.
pub(super) fn shown_of_image(config: &impl Serialize, args_escaped: bool, version: ApiVersion) -> Value {
    let mut shown = shown(config, version);
    if let Some(fields) = shown.as_object_mut().filter(|_| args_escaped) {
        fields.insert("ArgsEscaped".to_owned(), true.into());
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_config_loses_what_its_version_does_not_show() {
        let config =
            json!({"Hostname": "ab", "Tty": true, "Cmd": ["x"], "Env": null, "User": "", "Volumes": {}});
        let at = |minor| shown(&config, ApiVersion::minor(minor));
        assert_eq!(at(20), config);
        assert_eq!(
            at(24),
            json!({"Hostname": "", "Tty": false, "Cmd": ["x"], "Env": null, "User": "", "Volumes": {}})
        );
        assert_eq!(at(50), json!({"Cmd": ["x"], "Env": null, "User": "", "Volumes": {}}));
        assert_eq!(at(52), json!({"Cmd": ["x"]}));
    }

    #[test]
    fn an_image_of_buildkit_says_that_its_arguments_are_escaped() {
        let config = json!({"Cmd": ["x"]});
        let at = |escaped| shown_of_image(&config, escaped, ApiVersion::minor(41));
        assert_eq!(at(true), json!({"Cmd": ["x"], "ArgsEscaped": true}));
        assert_eq!(at(false), config);
    }
}
