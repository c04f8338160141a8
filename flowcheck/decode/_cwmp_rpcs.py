"""The RPCs of TR-069 (cwmp-1-0.xsd to cwmp-1-4.xsd) and their arguments in schema order.

A row may go on in the next line. Arguments in brackets are
optional; `Name[]` is an array. What a struct holds is listed under its own name.
"""

from __future__ import annotations

_TABLE = """
    GetRPCMethods                           :
    GetRPCMethodsResponse                   : MethodList[]
    SetParameterValues                      : ParameterList[] ParameterKey
    SetParameterValuesResponse              : Status
    GetParameterValues                      : ParameterNames[]
    GetParameterValuesResponse              : ParameterList[]
    GetParameterNames                       : ParameterPath NextLevel
    GetParameterNamesResponse               : ParameterList[]
    SetParameterAttributes                  : ParameterList[]
    SetParameterAttributesResponse          :
    GetParameterAttributes                  : ParameterNames[]
    GetParameterAttributesResponse          : ParameterList[]
    AddObject                               : ObjectName ParameterKey
    AddObjectResponse                       : InstanceNumber Status
    DeleteObject                            : ObjectName ParameterKey
    DeleteObjectResponse                    : Status
    Download                                : CommandKey FileType URL Username Password FileSize
        TargetFileName DelaySeconds SuccessURL FailureURL
    DownloadResponse                        : Status StartTime CompleteTime
    Reboot                                  : CommandKey
    RebootResponse                          :
    GetQueuedTransfers                      :
    GetQueuedTransfersResponse              : TransferList[]
    ScheduleInform                          : DelaySeconds CommandKey
    ScheduleInformResponse                  :
    SetVouchers                             : VoucherList[]
    SetVouchersResponse                     :
    GetOptions                              : OptionName
    GetOptionsResponse                      : OptionList[]
    Upload                                  : CommandKey FileType URL Username Password DelaySeconds
    UploadResponse                          : Status StartTime CompleteTime
    FactoryReset                            :
    FactoryResetResponse                    :
    GetAllQueuedTransfers                   :
    GetAllQueuedTransfersResponse           : TransferList[]
    ScheduleDownload                        : CommandKey FileType URL Username Password FileSize
        TargetFileName TimeWindowList[]
    ScheduleDownloadResponse                :
    CancelTransfer                          : CommandKey
    CancelTransferResponse                  :
    ChangeDUState                           : Operations[] (CommandKey)
    ChangeDUStateResponse                   :
    Inform                                  : DeviceId Event[] MaxEnvelopes CurrentTime RetryCount ParameterList[]
    InformResponse                          : MaxEnvelopes
    TransferComplete                        : CommandKey FaultStruct StartTime CompleteTime
    TransferCompleteResponse                :
    AutonomousTransferComplete              : AnnounceURL TransferURL IsDownload FileType FileSize
        TargetFileName FaultStruct StartTime CompleteTime
    AutonomousTransferCompleteResponse      :
    Kicked                                  : Command Referer Arg Next
    KickedResponse                          : NextURL
    RequestDownload                         : FileType FileTypeArg[]
    RequestDownloadResponse                 :
    DUStateChangeComplete                   : Results[] (CommandKey)
    DUStateChangeCompleteResponse           :
    AutonomousDUStateChangeComplete         : Results[]
    AutonomousDUStateChangeCompleteResponse :
"""

DEVICE_ID = ("Manufacturer", "OUI", "ProductClass", "SerialNumber")
_STRUCTS = {"DeviceId": DEVICE_ID, "FaultStruct": ("FaultCode", "FaultString"), "Event": ("EventCode", "CommandKey")}

HEADER = ("id", "cwmp_version", "HoldRequests", "NoMoreRequests", "SessionTimeout", "SupportedCWMPVersions",
          "UseCWMPVersion")
FAULT = ("faultcode", "faultstring", "FaultCode", "FaultString", "SetParameterValuesFault",
         "SetParameterValuesFault.ParameterName", "SetParameterValuesFault.FaultCode",
         "SetParameterValuesFault.FaultString")

ARGUMENTS: dict[str, tuple[str, ...]] = {}    # RPC -> names in schema order
REQUIRED: dict[str, tuple[str, ...]] = {}
ARRAYS = {"SetParameterValuesFault", "AccessList"}

for _row in _TABLE.replace("\n        ", " ").strip().splitlines():
    _name, _, _arguments = _row.partition(":")
    _names = [a.strip("()") for a in _arguments.split()]
    ARRAYS.update(a[:-2] for a in _names if a.endswith("[]"))
    ARGUMENTS[_name.strip()] = tuple(a.removesuffix("[]") for a in _names)
    REQUIRED[_name.strip()] = tuple(a.removesuffix("[]") for a in _arguments.split() if "(" not in a)

KINDS = {f"cwmp.{name}": (*HEADER, *arguments, *(f"{a}.{member}" for a in arguments for member in _STRUCTS.get(a, ())))
         for name, arguments in ARGUMENTS.items()}
KINDS |= {"cwmp.Fault": (*HEADER, *FAULT), "cwmp.empty": HEADER, "cwmp.malformed": HEADER}

INTEGERS = {"Status", "MaxEnvelopes", "RetryCount", "FileSize", "DelaySeconds", "InstanceNumber", "Notification",
            "State", "FaultCode", "MaxRetries", "WindowStart", "WindowEnd", "SessionTimeout", "VoucherSN", "Mode"}
BOOLEANS = {"IsDownload", "NextLevel", "Writable", "NotificationChange", "AccessListChange", "HoldRequests",
            "NoMoreRequests", "Resolved", "IsTransferable"}
TRUTH = {"1": True, "true": True, "0": False, "false": False}      # xsd:boolean

LONGEST = {"CommandKey": 32, "ParameterKey": 32, "EventCode": 64, "Manufacturer": 64, "OUI": 6, "ProductClass": 64,
           "SerialNumber": 64, "URL": 256, "Username": 256, "Password": 256, "TargetFileName": 256, "SuccessURL": 256,
           "FailureURL": 256, "ParameterPath": 256, "ObjectName": 256, "AnnounceURL": 1024, "TransferURL": 1024,
           "Command": 32, "Referer": 64, "Arg": 256, "Next": 1024, "NextURL": 1024, "OptionName": 64}
