//! One FSU, whole; requests without a reply.

use super::state::{short, states};
use super::{Running, no_fsu, within};
use crate::api::detail::{Device, DeviceMessage, FsuDetail};
use crate::api::error::{Code, Failure};
use fsu_plan::model::fleet::{Device as DevicePlan, Fsu as Plan};
use fsu_plan::model::message::Transport;
use fsu_serve::fleet::stats::Totals;
use fsu_serve::steer::FsuNow;
use std::collections::BTreeMap;

impl Running {
    /// An FSU by its name.
    pub(super) async fn detail(&self, name: String) -> Result<FsuDetail, Failure> {
        let view = self.steering.view();
        let number = view.fleet.fsus.iter().position(|fsu| *fsu.name == *name).ok_or_else(|| no_fsu(&name))? as u32;
        let now = within(self.steering.page(&view, &[number])).await?.pop().ok_or_else(|| no_fsu(&name))?;
        let now_ms = view.about.since.elapsed().as_millis() as u64;
        let (plan, fsu) = (view.fsu(number), short(&view, &now, now_ms));
        let (Some(plan), Some(fsu)) = (plan, fsu) else { return Err(no_fsu(&name)) };
        let counters = serde_json::to_value(Totals::new(now.counters.clone(), false));
        let counters = counters.map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
        let devices = plan.devices.iter().enumerate().filter(|(_, device)| device.is_own());
        let devices = devices.map(|(number, device)| self::device(plan, (number as u16, device), &now)).collect();
        Ok(FsuDetail { fsu, devices, counters, commands: Vec::new(), exchanges: Vec::new() })
    }
}

fn device(plan: &Plan, (number, device): (u16, &DevicePlan), now: &FsuNow) -> Device {
    let conversation = device.conversation.as_deref();
    let messages = conversation.map(|conversation| &*conversation.messages).unwrap_or_default();
    let messages = messages.iter().map(|message| DeviceMessage {
        message: message.name.to_string(),
        args: message.args.iter().map(ToString::to_string).collect(),
        sent: None,
        acknowledged: None,
        retried: None,
        given_up: None,
        pending: 0,
    });
    Device {
        device: number,
        vendor: device.vendor.to_string(),
        address: (plan.transport == Transport::Udp).then(|| format!("{:02X}", device.sub_dev_addr)),
        registers: BTreeMap::new(),
        memory: BTreeMap::new(),
        keyed: BTreeMap::new(),
        counters: BTreeMap::new(),
        params: BTreeMap::new(),
        cycles: Vec::new(),
        states: states(plan, now, Some(number)),
        messages: messages.collect(),
    }
}
